//! The columns of the file.

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use std::sync::Arc;

/// Version of the format: a number that rises whenever a reader of before would misread a file.
pub const VERSION: &str = "1";
/// Where the file's metadata has it.
pub const VERSION_KEY: &str = "kaspector.partial";

/// What each row begins with: the name and version of the format.
pub const SCHEMA: &str = "kaspector.partial/1";

/// All columns: of each kind of row one, empty in rows of other kinds.
pub fn schema() -> SchemaRef {
    let columns = vec![
        text("schema"),
        group("left_out", left_out()),
        group("input", input()),
        group("host", host()),
        group("machine", machine()),
        group("link", link()),
    ];
    Arc::new(Schema::new(columns))
}

fn left_out() -> Vec<Field> {
    vec![list("kinds", count()), text("scan")]
}

fn input() -> Vec<Field> {
    let log = [text("format"), text("series")].into_iter();
    let log =
        log.chain(numbers(["lines", "read", "others", "undirected", "malformed"])).chain([text("first_malformed")]);
    ["path", "digest", "signatures", "signatures_sha256", "filter"]
        .into_iter()
        .map(text)
        .chain(numbers(["packets", "bytes", "first_packet", "last_packet"]))
        .chain([list("covered", span())])
        .chain(numbers(["cut", "lost"]))
        .chain([list("link_types", DataType::UInt16), text("error"), flag("unreadable"), flag("defective")])
        .chain([group("log", log.collect()), list("outcomes", count())])
        .chain(numbers(["flows", "connections_ended", "one_sided", "midstream"]))
        .chain(numbers(["encrypted_hellos", "unknown_quic_versions"]))
        .chain([list("dropped", count())])
        .chain(numbers(["machines_dropped", "statements_dropped"]))
        .collect()
}

fn host() -> Vec<Field> {
    let evidence = ["indicator", "seen_as", "connection_outcome", "field", "observed"].into_iter().map(text);
    let evidence = evidence
        .chain(numbers(["count", "first_seen", "last_seen"]))
        .chain([text("server"), column("server_port", DataType::UInt16), flag("relayed"), text("role")])
        .chain(numbers(["packet"]));
    let hop_limit = vec![number("last_seen"), flag("together")];
    [text("address"), zone(), list("links", link_address()), list("evidence", of(evidence.collect()))]
        .into_iter()
        .chain(numbers(["flows", "bytes_sent", "bytes_received"]))
        .chain([list("resolves", DataType::Utf8), flag("resolves_more")])
        .chain([list("connects", DataType::Utf8), flag("connects_more")])
        .chain([list("hop_limits", of(hop_limit)), number("dropped")])
        .collect()
}

fn machine() -> Vec<Field> {
    let by_link = vec![text("mac"), group("flows", flows())];
    vec![
        text("address"),
        zone(),
        column("span", span()),
        group("flows", flows()),
        flag("is_resolver"),
        flag("is_proxy"),
        flag("has_evidence"),
        list("links", link_address()),
        column("links_dropped", DataType::UInt32),
        list("flows_by_link", of(by_link)),
        identity(),
    ]
}

fn link() -> Vec<Field> {
    vec![text("mac"), zone(), identity()]
}

fn identity() -> Field {
    let label = ["kind", "source", "text"].into_iter().map(text).chain(numbers(["first_seen", "last_seen"]));
    let lease = [text("address")].into_iter().chain(numbers(["from", "until"]));
    let fields = vec![list("labels", of(label.collect())), list("leases", of(lease.collect())), number("last_said")];
    group("identity", fields)
}

fn zone() -> Field {
    let tag = |name| column(name, DataType::UInt16);
    group("zone", vec![tag("vlan"), tag("inner_vlan"), column("vni", DataType::UInt32)])
}

fn flows() -> Vec<Field> {
    numbers(["named", "one_sided", "midstream", "unnamed"]).collect()
}

fn link_address() -> DataType {
    of(vec![text("mac"), number("first_seen"), number("last_seen"), flag("is_next_hop")])
}

fn count() -> DataType {
    of(vec![text("name"), number("count")])
}

fn span() -> DataType {
    of(vec![number("first"), number("last")])
}

fn of(fields: Vec<Field>) -> DataType {
    DataType::Struct(Fields::from(fields))
}

fn group(name: &str, fields: Vec<Field>) -> Field {
    column(name, of(fields))
}

fn list(name: &str, items: DataType) -> Field {
    column(name, DataType::List(Arc::new(column("item", items))))
}

fn text(name: &str) -> Field {
    column(name, DataType::Utf8)
}

fn number(name: &str) -> Field {
    column(name, DataType::UInt64)
}

fn numbers<const COUNT: usize>(names: [&str; COUNT]) -> impl Iterator<Item = Field> + use<COUNT> {
    names.map(number).into_iter()
}

fn flag(name: &str) -> Field {
    column(name, DataType::Boolean)
}

fn column(name: &str, kind: DataType) -> Field {
    Field::new(name, kind, true)
}
