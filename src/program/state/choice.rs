//! Which hosts a filter may choose, asked of the database: it reads no more of the others than its indices.
//!
//! What a host is follows from all its evidence together, so the filter itself decides once a host has been read. Here nobody is left out
//! whom it would accept.

use super::HostFilter;
use super::cursors::{LINK, read_host, read_link};
use super::rows::{address_key, signed};
use kaspector::matching::{HostKey, Indicator, LinkAddress, NextHops, Role, SeenAs, SignatureSet, Strength, Verdict};
use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};
use std::collections::BTreeSet;

/// Hosts chosen, above which all link-layer addresses are read at once rather than one by one.
const ONE_BY_ONE_MAX: usize = 1000;

/// The columns of `record` that make a host.
const HOST: &str = "address, vlan, inner_vlan, vni";
/// Records of the hosts in `chosen`.
pub const CHOSEN: &str = "chosen JOIN record ON record.address = chosen.address AND record.vlan IS chosen.vlan
     AND record.inner_vlan IS chosen.inner_vlan AND record.vni IS chosen.vni";

/// The query for the records of the hosts in `chosen`; those of an address stand together.
pub fn records_of_chosen() -> String {
    format!(
        "SELECT record.id FROM {CHOSEN}
         ORDER BY record.address"
    )
}

/// Puts the hosts that the filter may choose into the temporary table `chosen`.
pub fn choose(connection: &Connection, filter: &HostFilter, signatures: &SignatureSet) -> rusqlite::Result<()> {
    let HostFilter { verdict, since, not_since, until, categories, products, addresses, roles, vlans } = filter;
    let (mut is_host, mut of_host) = ("1".to_owned(), Vec::new());
    if !addresses.is_empty() {
        let ranges = vec!["record.address_key BETWEEN ? AND ?"; addresses.len()].join(" OR ");
        is_host = format!("({ranges})");
        for range in addresses {
            let (first, last) = range.ends();
            of_host.extend([first, last].map(|address| Value::Blob(address_key(address))));
        }
    }
    if !vlans.is_empty() {
        is_host += &format!(" AND record.vlan IN ({})", vec!["?"; vlans.len()].join(", "));
        of_host.extend(vlans.iter().map(|&vlan| Value::Integer(vlan.into())));
    }
    // Each may hold of another record of the host.
    let mut of_record: Vec<(String, Vec<Value>)> = Vec::new();
    if let Some(since) = since {
        // The time of a record leaves out what the set of its writer did not know.
        let condition = "record.last_seen >= ? OR record.id IN (SELECT record FROM evidence WHERE set_aside <> 0 AND last_seen >= ?)";
        of_record.push((condition.to_owned(), vec![Value::Integer(signed(since.0)); 2]));
    }
    // Who has no later evidence shows only once all of it is known; who has none but later is left out here.
    for until in until.iter().chain(not_since) {
        let condition = "record.first_seen <= ? OR record.id IN (SELECT record FROM evidence WHERE set_aside <> 0 AND first_seen <= ?)";
        of_record.push((condition.to_owned(), vec![Value::Integer(signed(until.0)); 2]));
    }
    // The plus keeps SQLite from looking for each of hundreds of indicators rather than at the few that a record has.
    let mut has_evidence = |table: &str, and: &str, wanted: &dyn Fn(&Indicator) -> bool| {
        let condition = format!(
            "EXISTS (SELECT 1 FROM evidence WHERE evidence.record = record.id {and} AND +indicator IN (SELECT id FROM {table}))"
        );
        of_record.push((condition, Vec::new()));
        name_indicators(connection, table, signatures, wanted)
    };
    if !categories.is_empty() {
        has_evidence("of_category", "", &|indicator| categories.contains(&indicator.category))?;
    }
    if !products.is_empty() {
        let products: Vec<String> = products.iter().map(|product| product.to_lowercase()).collect();
        has_evidence("of_product", "", &|indicator| {
            let names = indicator.products.iter().map(|name| name.to_lowercase());
            names.into_iter().any(|name| products.iter().any(|wanted| name.contains(wanted)))
        })?;
    }
    match verdict {
        Some(Verdict::Confirmed) => {
            let contact = format!("AND seen_as = '{}'", SeenAs::Contact.name());
            has_evidence("of_verdict", &contact, &|indicator| indicator.strength == Strength::Installed)?;
        }
        Some(Verdict::Suspected) => {
            has_evidence("of_verdict", "", &|indicator| indicator.strength != Strength::Browse)?;
        }
        Some(Verdict::Browsing) | None => {}
    }
    // Whether a host is a relay or an endpoint shows only once all of it is known.
    if !roles.is_empty() && roles.iter().all(|role| matches!(role, Role::Server | Role::Gateway)) {
        let names = roles.iter().map(|role| Value::Text(role.name().to_owned())).collect();
        let condition = format!(
            "EXISTS (SELECT 1 FROM evidence WHERE evidence.record = record.id AND role IN ({}))",
            vec!["?"; roles.len()].join(", ")
        );
        of_record.push((condition, names));
    }
    if of_record.is_empty() {
        of_record.push(("1".to_owned(), Vec::new()));
    }
    let (mut parts, mut values) = (Vec::new(), Vec::new());
    for (condition, of_condition) in of_record {
        parts.push(format!("SELECT {HOST} FROM record WHERE {is_host} AND ({condition})"));
        values.extend(of_host.iter().cloned().chain(of_condition));
    }
    connection.execute_batch("DROP TABLE IF EXISTS chosen")?;
    let chosen = parts.join(" INTERSECT ");
    connection.execute(
        &format!("CREATE TEMPORARY TABLE chosen AS SELECT DISTINCT {HOST} FROM ({chosen})"),
        params_from_iter(values),
    )?;
    Ok(())
}

/// How many hosts there are with evidence that the set knows, chosen or not.
pub fn count_all(connection: &Connection, signatures: &SignatureSet) -> rusqlite::Result<usize> {
    name_indicators(connection, "known", signatures, &|_| true)?;
    // The plus as above.
    let query = format!(
        "SELECT count(*) FROM (SELECT DISTINCT {HOST} FROM record WHERE EXISTS
         (SELECT 1 FROM evidence WHERE evidence.record = record.id AND +indicator IN (SELECT id FROM known)))"
    );
    let count: i64 = connection.query_row(&query, [], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// Routers on the way to the hosts in `chosen`, or to all: whoever else is behind them shows it.
pub fn next_hops(connection: &Connection, of_chosen: bool) -> rusqlite::Result<NextHops> {
    let columns = format!("{}, {LINK}", super::cursors::HOST);
    let sightings = |condition: &str,
                     values: &[&dyn rusqlite::ToSql]|
     -> rusqlite::Result<Vec<(HostKey, LinkAddress)>> {
        let query =
            format!("SELECT {columns} FROM link_address JOIN record ON record.id = link_address.record {condition}");
        let mut statement = connection.prepare_cached(&query)?;
        let rows = statement.query_map(values, |row| Ok((read_host(row, 0)?, read_link(row, 4)?)))?;
        rows.collect()
    };
    let chosen: i64 =
        if of_chosen { connection.query_row("SELECT count(*) FROM chosen", [], |row| row.get(0))? } else { i64::MAX };
    if usize::try_from(chosen).unwrap_or(usize::MAX) > ONE_BY_ONE_MAX {
        let shared = "WHERE mac IN (SELECT mac FROM link_address GROUP BY mac HAVING count(*) > 1 OR max(next_hop))";
        return Ok(NextHops::among(sightings(shared, &[])?));
    }
    let query = format!("SELECT {columns} FROM {CHOSEN} JOIN link_address ON link_address.record = record.id");
    let mut statement = connection.prepare(&query)?;
    let of_chosen = statement.query_map([], |row| {
        let (host, link) = (read_host(row, 0)?, read_link(row, 4)?);
        Ok((host.zone, link.mac))
    })?;
    let of_chosen: BTreeSet<_> = of_chosen.collect::<Result<_, _>>()?;
    let mut all = Vec::new();
    for (zone, mac) in of_chosen {
        let (mac, zone) = (mac.to_string(), params![zone.vlan, zone.inner_vlan, zone.vni]);
        let [vlan, inner_vlan, vni] = zone else { continue };
        let of_mac = "WHERE mac = ?1 AND vlan IS ?2 AND inner_vlan IS ?3 AND vni IS ?4";
        // One that is known for a router may have very many hosts, and one of them says it.
        let known = sightings(&format!("{of_mac} AND next_hop <> 0 LIMIT 1"), &[&mac, vlan, inner_vlan, vni])?;
        if known.is_empty() {
            all.extend(sightings(of_mac, &[&mac, vlan, inner_vlan, vni])?);
        }
        all.extend(known);
    }
    Ok(NextHops::among(all))
}

/// Puts the ids of these indicators into a temporary table.
fn name_indicators(
    connection: &Connection,
    table: &str,
    signatures: &SignatureSet,
    wanted: &dyn Fn(&Indicator) -> bool,
) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "DROP TABLE IF EXISTS {table}; CREATE TEMPORARY TABLE {table} (id TEXT PRIMARY KEY)"
    ))?;
    let mut insert = connection.prepare(&format!("INSERT OR IGNORE INTO {table} VALUES (?1)"))?;
    for indicator in signatures.iter().filter(|indicator| wanted(indicator)) {
        insert.execute([indicator.id.as_str()])?;
    }
    Ok(())
}
