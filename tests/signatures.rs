//! The signature set from outside: what it knows, what it must not match, and what it says of bad files.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use kaspector::matching::{Indicator, ProductKind, SignatureSet};
use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::Path;

fn by_name<'a>(set: &'a SignatureSet, name: &str) -> &'a Indicator {
    set.get(set.match_name(name).unwrap_or_else(|| panic!("{name} matches nothing")))
}

/// Kind, value, category and strength of the indicator that wins for a name.
fn told(set: &SignatureSet, name: &str) -> (&'static str, String, &'static str, &'static str) {
    let one = by_name(set, name);
    (one.kind.name(), one.value.clone(), one.category.name(), one.strength.name())
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// An indicator that is right, with `more` lines.
fn entry(id: &str, kind: &str, value: &str, more: &str) -> String {
    let category = if id.starts_with("KL-WEB") { "web-browse" } else { "update" };
    format!(
        "[[indicator]]\nid = \"{id}\"\nmatch = \"{kind}\"\nvalue = '{value}'\ncategory = \"{category}\"\nstrength = \"installed\"\n\
         sources = [\"https://example.com\"]\ndate = 2026-11-23\n{more}\n"
    )
}

/// What is said of a file, without the folder in front of its name.
fn refused(text: &str) -> String {
    let folder = folder(&[("a.toml", text)]);
    let said = SignatureSet::from_folder(folder.path()).expect_err(text).to_string();
    said.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn the_builtin_set_is_whole() {
    let set = SignatureSet::builtin();
    assert!(set.len() > 400 && !set.is_empty() && set.iter().count() == set.len());
    assert_eq!(set.version(), "2026.11");
    assert_eq!(set.sha256().len(), 64);
    let ids: BTreeSet<_> = set.iter().map(|one| &one.id).collect();
    assert_eq!(ids.len(), set.len());
    for one in set.iter() {
        assert!(!one.sources.is_empty() && one.date.len() == 10, "{}", one.id);
        assert_eq!(set.find(&one.id).map(|found| &found.id), Some(&one.id));
    }
    assert!(set.find("KL-UPD-0499").is_none());
}

#[test]
fn the_folder_and_the_builtin_set_are_one() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("signatures");
    let read = SignatureSet::from_folder(&folder).unwrap();
    let builtin = SignatureSet::builtin();
    assert_eq!((read.version(), read.sha256(), read.len()), (builtin.version(), builtin.sha256(), builtin.len()));
}

#[test]
fn every_product_is_one_of_the_list() {
    let set = SignatureSet::builtin();
    let names_of = |others: bool| -> BTreeSet<&str> {
        let products = set.products().iter().filter(|one| (one.kind == ProductKind::OtherVendor) == others);
        products.map(|one| one.name.as_str()).collect()
    };
    let (own, of_others) = (names_of(false), names_of(true));
    assert_eq!(own.len() + of_others.len(), set.products().len(), "no name twice");
    for one in set.products() {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        assert!(one.id.bytes().all(is_plain), "{}", one.id);
        // No remark, no file name, no list, no version of another's file.
        let is_name =
            |text: &str| !text.contains(['(', ')', ';', ',', '/', '<', '*', '+', '_']) && !text.contains(".xml");
        assert!(is_name(&one.name) && one.name.starts_with(|first: char| first.is_uppercase()), "{}", one.name);
    }
    let of_the_vendor = |name: &str| name.contains("Kaspersky") || name == "AntiViral Toolkit Pro";
    assert!(own.iter().all(|name| of_the_vendor(name)), "{own:?}");
    assert!(!of_others.iter().any(|name| of_the_vendor(name)), "{of_others:?}");
    let mut named = BTreeSet::new();
    for one in set.iter() {
        for (products, list) in [(&one.products, &own), (&one.engine_in, &of_others)] {
            for product in products {
                assert!(list.contains(product.as_str()), "{} names {product:?}", one.id);
                assert!(named.insert((&one.id, product)), "{} names {product:?} twice", one.id);
            }
        }
        assert!(one.category.name() != "oem" || !one.engine_in.is_empty(), "{}", one.id);
    }
    let named: BTreeSet<&str> = named.into_iter().map(|(_, product)| product.as_str()).collect();
    assert_eq!(named.len(), set.products().len(), "nothing in the list is without use");
}

#[test]
fn products_are_declared_once_and_with_a_kind() {
    let product = "[[product]]\nid = \"a\"\nname = \"Our Mirror\"\nkind = \"server\"\n";
    let own = folder(&[(
        "a.toml",
        &format!("{product}{}", entry("ORG-1", "exact", "a.example.com", "products = [\"Our Mirror\"]")),
    )]);
    let set = SignatureSet::builtin().with_folder(own.path()).unwrap();
    assert_eq!(set.products().last().map(|one| (&*one.name, one.kind)), Some(("Our Mirror", ProductKind::Server)));
    assert!(set.products().len() > 20);
    for (text, said) in [
        (format!("{product}{product}"), "a.toml:6: the product \"a\" is declared twice; keep one of them"),
        (
            product.replace("server", "servers"),
            "a.toml:4: unknown kind \"servers\"; expected one of family, endpoint, server, mail, network, engine, management, service, other-vendor",
        ),
        (
            product.replace("name = \"Our Mirror\"\n", ""),
            "a.toml:1: this product has no \"name\"; every one needs id, name and kind",
        ),
        (product.replace("name", "title"), "a.toml:3: unknown key \"title\" of a product; expected id, name and kind"),
        ("product = 1".to_owned(), "a.toml:1: \"product\" is no list of tables; begin each one with [[product]]"),
    ] {
        assert_eq!(refused(&text), said);
    }
}

#[test]
fn every_class_of_name_is_covered() {
    let set = SignatureSet::builtin();
    for (name, kind, value, category, strength) in [
        ("s07.upd.kaspersky.com", "template", "s{00-19}.upd.kaspersky.com", "update", "installed"),
        ("p19.upd.kaspersky.com", "template", "p{00-19}.upd.kaspersky.com", "update", "installed"),
        ("s20.upd.kaspersky.com", "suffix", "upd.kaspersky.com", "update", "installed"),
        ("downloads.upd.kaspersky.com", "exact", "downloads.upd.kaspersky.com", "update", "installed"),
        ("cm.k.kaspersky-labs.com", "exact", "cm.k.kaspersky-labs.com", "update", "installed"),
        ("dnl-18.geo.kaspersky.com", "template", "dnl-{00-19}.geo.kaspersky.com", "update", "installed"),
        ("activation-v2.kaspersky.com", "exact", "activation-v2.kaspersky.com", "activation", "installed"),
        ("new.activation-v2.kaspersky.com", "suffix", "activation-v2.kaspersky.com", "activation", "installed"),
        ("ksn-file-geo.kaspersky-labs.com", "exact", "ksn-file-geo.kaspersky-labs.com", "reputation", "installed"),
        ("ksn2-12.kaspersky-labs.com", "template", "ksn*.kaspersky-labs.com", "reputation", "installed"),
        ("ksn3-11.part1.kaspersky-labs.com", "suffix", "kaspersky-labs.com", "web-browse", "ambiguous"),
        ("dc1-st.ksn.kaspersky-labs.com", "exact", "dc1-st.ksn.kaspersky-labs.com", "telemetry", "installed"),
        ("42.ucp-ntfy.kaspersky-labs.com", "template", "{0-99}.ucp-ntfy.kaspersky-labs.com", "account", "installed"),
        (
            "bosh4.ucp-ntfy.kaspersky-labs.com",
            "exact",
            "bosh4.ucp-ntfy.kaspersky-labs.com",
            "password-manager",
            "ambiguous",
        ),
        ("bosh6.ucp-ntfy.kaspersky-labs.com", "suffix", "ucp-ntfy.kaspersky-labs.com", "account", "ambiguous"),
        ("042.ucp-ntfy.kaspersky-labs.com", "suffix", "ucp-ntfy.kaspersky-labs.com", "account", "ambiguous"),
        ("ksc.kaspersky.com", "exact", "ksc.kaspersky.com", "cloud-console", "ambiguous"),
        ("a1.ksc.kaspersky.com", "suffix", "ksc.kaspersky.com", "cloud-console", "installed"),
        ("products.s.kaspersky-labs.com", "exact", "products.s.kaspersky-labs.com", "download", "ambiguous"),
        ("crl.kaspersky.com", "exact", "crl.kaspersky.com", "pki", "ambiguous"),
        ("touch.kaspersky.com", "exact", "touch.kaspersky.com", "messaging", "installed"),
        (
            "gc.kis.v2.scr.kaspersky-labs.com",
            "exact",
            "gc.kis.v2.scr.kaspersky-labs.com",
            "in-page-script",
            "ambiguous",
        ),
        ("ppt-issuer.ksn.kaspersky-labs.com", "exact", "ppt-issuer.ksn.kaspersky-labs.com", "mobile", "ambiguous"),
        ("kav8.zonealarm.com", "exact", "kav8.zonealarm.com", "oem", "installed"),
        ("mx12.kaspersky-labs.com", "template", "mx{12-13}.kaspersky-labs.com", "mail", "browse"),
        ("opentip.kaspersky.com", "exact", "opentip.kaspersky.com", "threat-intel", "browse"),
        ("www.kaspersky.com", "exact", "www.kaspersky.com", "web-browse", "browse"),
        ("kaspersky.com", "suffix", "kaspersky.com", "web-browse", "browse"),
        ("w-1.fp.kaspersky-labs.com", "suffix", "fp.kaspersky-labs.com", "web-browse", "browse"),
        ("www.kaspersky.co.uk", "suffix", "kaspersky.co.uk", "web-browse", "browse"),
    ] {
        assert_eq!(told(&set, name), (kind, value.to_owned(), category, strength), "{name}");
    }
}

#[test]
fn lookalikes_match_nothing() {
    let set = SignatureSet::builtin();
    let names = include_str!("data/lookalikes.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    assert!(names.clone().count() > 74);
    for name in names {
        let found = set.match_name(name).map(|index| &set.get(index).id);
        assert_eq!(found, None, "{name}");
    }
}

#[test]
fn paths_of_updates_are_known() {
    let set = SignatureSet::builtin();
    for (path, category, strength) in [
        ("/index/u1313g.xml", "update", "installed"),
        ("/index/u1313g.xml.klz", "update", "installed"),
        ("/index/umeta.xml.dif", "update", "installed"),
        ("/mirror/index/U0607G.XML?x=1", "update", "installed"),
        ("/%69ndex/u1313g%2Exml", "update", "installed"),
        ("/v6/index/u1313g.xml", "oem", "installed"),
        ("/bases/av/kdb/i386/kdb-i386-1211g.xml.klz", "update", "installed"),
        ("/bases/av/kdb/i386/basea.mft", "update", "installed"),
        ("/updates/kdb/i386/kdb-i386-meta.xml", "update", "installed"),
        ("/updates/ksc/ksc-meta.xml", "management", "installed"),
        ("/updates/kavlotus/x", "mail", "installed"),
        ("/updates/new1/new1-all-meta.xml", "update", "ambiguous"),
        ("/diffs/bases/ids/i386/idsbase.kdz.srf", "update", "installed"),
        ("/bases/av/dailyc.kdc", "update", "installed"),
        ("/AutoPatches/kts9/klp-0607g.xml", "update", "installed"),
        ("/AutoPatches/kts9/x", "update", "ambiguous"),
        ("/bases/apu.stt", "update", "ambiguous"),
        ("/updcfg.xml", "update", "ambiguous"),
        ("/ActivationService/ActivationService.svc", "activation", "ambiguous"),
        ("/FD126C42-EBFA-4E12-B309-BB3FDD723AC1/main.js", "in-page-script", "ambiguous"),
    ] {
        let one = set.get(set.match_path(path.as_bytes()).unwrap_or_else(|| panic!("{path} matches nothing")));
        assert_eq!((one.category.name(), one.strength.name()), (category, strength), "{path}: {}", one.id);
    }
}

#[test]
fn everyday_paths_match_nothing() {
    let set = SignatureSet::builtin();
    for path in [
        "",
        "/",
        "*",
        "/updates/",
        "/updates/index.html",
        "/updates/list.xml",
        "/update/check.xml",
        "/index.xml",
        "/index/",
        "/index/u.xml",
        "/index/users.xml",
        "/bases/",
        "/bases/index.html",
        "/diffs/",
        "/feed/atom-meta.xml",
        "/site-meta.xml",
        "/maven2/org/example/maven-metadata.xml",
        "/dist/msdownload/update/software/defu/2026/11/am_delta_patch_1.1.exe",
        "/msdownload/update/v3/static/trustedr/en/authrootstl.cab",
        "/v9/windowsupdate/redir/muv4wuredir.cab",
        "/filestreamingservice/files/1f1e2d3c?P1=1&P2=404",
        "/ubuntu/dists/noble/InRelease",
        "/xdailyc.kdc",
        "/api/v1.0/users",
        "/api/v3.0/scan",
        "/main.js",
        "/?u=/bases/av/kdb/",
        "/search?q=/index/u1313g.xml",
        "/a#/index/u1313g.xml",
        "/connecttest.txt",
        "/cgi-bin/test",
        "\u{fffd}\u{0}",
    ] {
        let found = set.match_path(path.as_bytes()).map(|index| &set.get(index).id);
        assert_eq!(found, None, "{path}");
    }
}

#[test]
fn user_agents_are_told_apart() {
    let set = SignatureSet::builtin();
    let strength = |text: &str| set.match_user_agent(text.as_bytes()).map(|index| set.get(index).strength.name());
    assert_eq!(strength("@hEKzPRNa0lItsGIjysY"), Some("ambiguous"));
    assert_eq!(strength("*BcfBAAAAgCCAAEFBAAwQfKXVzrzGvyfPESboPxow0mHhxRLAXAQAAIAAKAA="), Some("ambiguous"));
    for text in [
        "",
        "curl/8.5.0",
        "Wget/1.21.4",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "@scope/name-x",
        "@scope/name-x/1.2.3",
        "@angular/cli",
        "@everylowercaseword",
        "*",
        "*/*",
        "Windows-Update-Agent/10.0.10011.16384 Client-Protocol/2.51",
        "Microsoft-Delivery-Optimization/10.0",
        "Debian APT-HTTP/1.3 (2.9.8)",
        "Kaspersky",
        "python-requests/2.32",
    ] {
        assert_eq!(strength(text), None, "{text}");
    }
}

#[test]
fn addresses_are_hints_by_range() {
    let set = SignatureSet::builtin();
    let told = |text: &str| {
        let index = set.match_address(text.parse::<IpAddr>().unwrap())?;
        Some((set.get(index).value.clone(), set.get(index).strength.name()))
    };
    assert_eq!(told("37.203.129.5"), Some(("37.203.129.5".to_owned(), "ambiguous")));
    assert_eq!(told("37.203.128.1"), Some(("37.203.128.0/23".to_owned(), "ambiguous")));
    assert_eq!(told("91.103.66.155"), Some(("91.103.66.155".to_owned(), "browse")));
    assert_eq!(told("91.103.67.1"), Some(("91.103.64.0/21".to_owned(), "browse")));
    assert_eq!(told("2a03:2480:69::1"), Some(("2a03:2480:68::/47".to_owned(), "ambiguous")));
    // The vendor's DDoS-protection network, hosting shared with others, its sinkhole, public resolvers, private space.
    for text in [
        "82.202.186.1",
        "82.202.188.1",
        "117.41.246.36",
        "119.255.133.28",
        "209.51.171.230",
        "95.211.172.143",
        "8.8.8.8",
        "223.6.6.6",
        "10.0.0.1",
        "::1",
    ] {
        assert_eq!(told(text), None, "{text}");
    }
}

#[test]
fn fingerprints_and_certificates_are_known() {
    let set = SignatureSet::builtin();
    let hash = |text: &str| u128::from_str_radix(text, 16).unwrap().to_be_bytes();
    assert!(set.match_ja3(&hash("c63e8c55f2a9e27263d28c06b4360880")).is_some());
    assert!(set.match_ja4("t12d1108h2_f1d7dd7f2cf0_06756d5f1b38").is_some());
    // Firefox and Internet Explorer, which a public list labels wrongly.
    for browser in
        ["07b4162d4db57554961824a21c4a0fde", "dda6c525431b3259dac349220160cdcb", "d54b3eb800cbeccf99fd5d5cdcd7b5b5"]
    {
        assert_eq!(set.match_ja3(&hash(browser)), None, "{browser}");
    }
    assert_eq!([0x0301, 0x0303, 0x0304].map(|version| set.may_match_fingerprint(version)), [false, true, false]);
    // Internet Explorer 8 behind AdGuard 6 and Avast 11 as much as behind the vendor's product.
    for shared in ["68b1cbe8ba8f249a76535743d67770db", "169a1265e6af213a5c303b68c64a9318"] {
        assert_eq!(set.match_ja3(&hash(shared)), None, "{shared}");
    }
    for shared in ["t10d130700_25acaf55c982_06756d5f1b38", "t10d130700_25acaf55c982_32a82082e94c"] {
        assert_eq!(set.match_ja4(shared), None, "{shared}");
    }
    assert!(
        set.iter().filter(|one| matches!(one.kind.name(), "ja3" | "ja4")).all(|one| one.strength.name() == "ambiguous")
    );
    let issuer = "CN=Kaspersky Endpoint Security Personal Certification Authority, O=AO Kaspersky Lab";
    let found = set.get(set.match_certificate("CN=www.example.com", issuer).unwrap());
    assert!(found.value.contains("Endpoint Security Personal"), "{}", found.value);
    assert_eq!(set.match_certificate("CN=www.kaspersky.com, O=AO Kaspersky Lab", "CN=R3, O=Let's Encrypt, C=US"), None);
}

#[test]
fn beginnings_of_bodies_flows_and_header_fields_are_known() {
    let set = SignatureSet::builtin();
    let of = |index: Option<kaspector::matching::IndicatorIndex>| {
        index.map(|index| (set.get(index).category.name(), set.get(index).strength.name()))
    };
    for (body, strength) in [
        (&b"KLZF\x01\0\0\0"[..], "installed"),
        (b"KLD2\x01", "installed"),
        (b"DIFF\x01", "ambiguous"),
        (b"<Update\n\tDate=\"04012026 0027\"", "installed"),
        (b"<UpdateFiles\n\tUpdateDate=\"04012026 0021\"", "installed"),
        (b"S0xyZwAAAABLTHN3", "installed"),
        (b";:10abcd%%", "ambiguous"),
    ] {
        assert_eq!(of(set.match_body(body)), Some(("update", strength)), "{body:?}");
    }
    for body in [
        &b"<Update Date=\"x\""[..],
        b"<Updates>",
        b"klzf",
        b" KLZF",
        b"KLZ",
        b"",
        b"DIF",
        b"<!DOCTYPE html>",
        b"PK\x03\x04",
    ] {
        assert_eq!(of(set.match_body(body)), None, "{body:?}");
    }
    for start in [&b"KE\0\0rest"[..], b"KE\0\x02", b"KE\0\x07", b"KS\0\0"] {
        assert_eq!(of(set.match_stream(start, 6, 443)), Some(("reputation", "ambiguous")), "{start:?}");
        assert_eq!(of(set.match_stream(start, 17, 2001)), Some(("reputation", "ambiguous")), "{start:?}");
        assert_eq!(of(set.match_stream(start, 6, 2001)), None, "{start:?}");
        assert_eq!(of(set.match_stream(start, 17, 443)), None, "{start:?}");
    }
    assert_eq!(of(set.match_stream(b"KE\0\x01", 6, 443)), None);
    for (line, strength) in [
        ("X-KSMG-AntiVirus: Kaspersky Secure Mail Gateway, version 2.1.0.7854", "installed"),
        ("x-klms-message-action: clean", "installed"),
        ("X-KSE-ServerInfo: ex01.corp.example, 9", "installed"),
        ("X-KSE-Something-New: 1", "installed"),
        ("X-SpamTest-Rate: 0", "ambiguous"),
    ] {
        assert_eq!(of(set.match_mail_header(line.as_bytes())), Some(("mail", strength)), "{line}");
    }
    for line in ["X-Spam-Status: No", "X-KIMS-Rule-ID: 1", "Subject: X-KSMG-Rule-ID: 1", "XX-KSMG-Rule-ID: 1"] {
        assert_eq!(of(set.match_mail_header(line.as_bytes())), None, "{line}");
    }
    for (originator, category) in [
        ("KasperskyLab|SecurityCenter|13.2.0.1511", "management"),
        ("AO Kaspersky Lab|Kaspersky Secure Mail Gateway|2.0.0.1234", "mail"),
        ("kaspersky lab|Some Product|1", "management"),
        ("event@23668", "management"),
    ] {
        assert_eq!(of(set.match_syslog(originator.as_bytes())), Some((category, "ambiguous")), "{originator}");
    }
    for originator in
        ["event@236681", "event@2366", "Example|Kaspersky Lab|1", "KasperskyLabs|SecurityCenter|1", "Kaspersky Lab"]
    {
        assert_eq!(of(set.match_syslog(originator.as_bytes())), None, "{originator}");
    }
    let page = "<head><script src=\"http://gc.kis.v2.scr.kaspersky-labs.com/fd126c42-ebfa-4e12-b309-bb3fdd723ac1/main.js?attr=x\">";
    assert_eq!(of(set.match_upload(page.as_bytes())), Some(("in-page-script", "ambiguous")));
    for text in [
        "see http://gc.kis.v2.scr.kaspersky-labs.com/ for more",
        "url=http://dnl-05.geo.kaspersky.com/index/u1313g.xml",
    ] {
        assert_eq!(of(set.match_upload(text.as_bytes())), None, "{text}");
    }
    assert_eq!(of(set.match_http_header(b"x-kav-protocolversion")), Some(("management", "installed")));
    assert_eq!(of(set.match_http_header(b"X-KAV")), None);
}

#[test]
fn folders_of_components_name_the_product_in_company() {
    let set = SignatureSet::builtin();
    for (path, product) in [
        ("/mirror/updates/ksc/x.klz", "Kaspersky Security Center"),
        ("/updates/ksvla/ksvla.dat", "Kaspersky Security for Virtualization Light Agent"),
        ("/updates/kumares/a/b", "Kaspersky Unified Monitoring and Analysis Platform"),
    ] {
        let one = set.get(set.match_path(path.as_bytes()).unwrap());
        assert_eq!((one.strength.name(), &*one.products[0]), ("ambiguous", product), "{path}");
    }
    assert!(set.match_path(b"/updates/kscx/a").is_none());
}

#[test]
fn what_is_only_listed_matches_nothing() {
    let set = SignatureSet::builtin();
    for one in set.iter().filter(|one| !one.kind.is_matched()) {
        assert_eq!(set.match_path(one.value.as_bytes()).filter(|index| set.get(*index).id == one.id), None);
    }
    assert!(set.iter().filter(|one| one.kind.name() == "port").count() >= 15);
    assert!(set.iter().filter(|one| one.kind.name() == "mail-header").count() >= 10);
}

#[test]
fn a_folder_replaces_and_a_folder_adds() {
    let own = folder(&[
        ("10.toml", &entry("KL-UPD-0400", "suffix", "mirror.corp.example", "products = [\"Mirror\"]\nrev = 3")),
        ("20.toml", "version = \"corp-7\"\n"),
        ("notes.txt", "not a signature file"),
    ]);
    let alone = SignatureSet::from_folder(own.path()).unwrap();
    assert_eq!((alone.len(), alone.version()), (1, "corp-7"));
    assert!(alone.match_name("www.kaspersky.com").is_none());
    let builtin = SignatureSet::builtin();
    let (count, digest) = (builtin.len(), builtin.sha256().to_owned());
    let both = builtin.with_folder(own.path()).unwrap();
    assert_eq!((both.len(), both.version()), (count + 1, "2026.11+corp-7"));
    assert_ne!(both.sha256(), digest);
    let one = by_name(&both, "a.mirror.corp.example");
    assert_eq!((&*one.id, one.rev, one.products.len()), ("KL-UPD-0400", 3, 1));
    assert_eq!(by_name(&both, "s07.upd.kaspersky.com").id, "KL-UPD-0001");
}

#[test]
fn ids_of_ones_own_have_any_sensible_form() {
    let longest = format!("o{}", "1".repeat(63));
    for id in ["ORG-000001", "org.2026:7_b", "1", &longest] {
        let own = folder(&[("a.toml", &entry(id, "exact", "a.example.com", ""))]);
        let set = SignatureSet::builtin().with_folder(own.path()).unwrap();
        assert_eq!(by_name(&set, "a.example.com").id, id);
        assert!(set.find(id).is_some() && set.index_of(id).is_some());
    }
    for id in ["-1", "a b", "a/b", "a,b", "ä", "a\u{202e}b", &format!("{longest}1")] {
        let said = refused(&entry(id, "exact", "a.example.com", ""));
        assert!(said.starts_with("a.toml:2: bad id ") && said.contains("such as ORG-000001"), "{said}");
    }
    // Those that begin as ours are ours.
    for id in ["KL-UPD-0500", "KL-ORG-0001", "KL-1", "kl-upd-0400", "KL-"] {
        let said = refused(&entry(id, "exact", "a.example.com", ""));
        assert!(said.contains("is named KL-UPD-0001 to KL-UPD-0499, or in a form of your own"), "{said}");
    }
}

#[test]
fn more_names_than_sixteen_bits_count_are_loaded_and_found() {
    let many: String = (0..70_000)
        .map(|number| entry(&format!("ORG-{number:06}"), "suffix", &format!("n{number}.example"), ""))
        .collect();
    let own = folder(&[("a.toml", &many)]);
    let builtin = SignatureSet::builtin();
    let count = builtin.len();
    let set = builtin.with_folder(own.path()).unwrap();
    assert_eq!(set.len(), count + 70_000);
    for number in [0, 1, 65_535 - count, 65_536 - count, 65_536, 69_999] {
        assert_eq!(by_name(&set, &format!("www.n{number}.example")).id, format!("ORG-{number:06}"));
    }
    assert_eq!(by_name(&set, "s07.upd.kaspersky.com").id, "KL-UPD-0001");
    assert!(set.match_name("www.n70000.example").is_none() && set.match_name("xn1.example.com").is_none());
    let again = SignatureSet::builtin().with_folder(own.path()).unwrap().succeed(&set).unwrap();
    assert_eq!(again.match_name("n69999.example"), set.match_name("n69999.example"), "the index stays");
    assert_eq!(set.explain("a.n69999.example").winner.unwrap().id, "ORG-069999");
}

#[test]
fn a_long_file_is_read_in_pieces_as_it_is_read_at_once() {
    let row = |number: usize| entry(&format!("ORG-{number:06}"), "exact", &format!("n{number}.example.com"), "");
    let rows = |range: std::ops::Range<usize>| range.map(row).collect::<String>();
    // No piece is as long as this text, and each of its lines looks like the start of one.
    let text = "[[indicator]]\n".repeat(20_000);
    let long = entry("ORG-LONG", "exact", "long.example.com", &format!("note = \"\"\"\n{text}\"\"\""));
    let whole = format!("version = \"own-1\"\n{}{long}{}", rows(0..2_000), rows(2_000..4_000));
    let set = SignatureSet::from_folder(folder(&[("a.toml", &whole)]).path()).unwrap();
    assert_eq!((set.len(), set.version()), (4_001, "own-1"));
    assert_eq!(set.find("ORG-LONG").unwrap().note, text);
    let windows = whole.replace('\n', "\r\n");
    assert_eq!(SignatureSet::from_folder(folder(&[("a.toml", &windows)]).path()).unwrap().len(), 4_001);
    // Of each kind of fault the line, far behind the start of the file.
    let lines = whole.lines().count();
    for (bad, line, why) in [
        ("\n[[indicator]]\nid = \"x\"\nid = \"y\"\n", 4, "not TOML: duplicate key"),
        ("\n[[indicator]]\nid = \"ORG-X\"\nlit = 1\n", 4, "unknown key \"lit\""),
        (&row(7), 2, "id \"ORG-000007\" is taken by a.toml:"),
        ("\n[version]\nnew = 1\n", 2, "the version is no text"),
    ] {
        let said = refused(&format!("{whole}{bad}{}", rows(4_000..4_100)));
        assert!(said.starts_with(&format!("a.toml:{}: {why}", lines + line)), "{said}");
    }
}

#[test]
#[ignore = "a measurement, not a check: cargo test --release --test signatures -- --ignored --nocapture"]
fn cost_of_a_hundred_thousand_names() {
    let many: String = (0..100_000)
        .map(|number| {
            entry(&format!("ORG-{number:06}"), "suffix", &format!("n{number}.example{}.com", number % 977), "")
        })
        .collect();
    let own = folder(&[("a.toml", &many)]);
    let started = std::time::Instant::now();
    let set = SignatureSet::builtin().with_folder(own.path()).unwrap();
    println!("{} indicators loaded in {:?}", set.len(), started.elapsed());
    let names =
        ["www.google.com", "login.microsoftonline.com", "a.long.name.of.some.content.network.example.net", "x.co.uk"];
    for (what, set) in [("built-in", &SignatureSet::builtin()), ("with 100,000 more", &set)] {
        let started = std::time::Instant::now();
        let hits =
            (0..10_000_000).filter(|round| set.match_name(std::hint::black_box(names[round % 4])).is_some()).count();
        println!("{what}: {:?} for a name that does not match ({hits})", started.elapsed() / 10_000_000);
    }
}

#[test]
fn what_the_builtin_set_has_cannot_be_added() {
    let same_id = folder(&[("x.toml", &entry("KL-UPD-0001", "exact", "a.example.com", ""))]);
    let said = SignatureSet::builtin().with_folder(same_id.path()).unwrap_err().to_string();
    assert!(said.contains("x.toml:2: id \"KL-UPD-0001\" is taken by signatures/update.toml:4;"), "{said}");
    let same_value = folder(&[("x.toml", &entry("KL-UPD-0400", "suffix", "upd.kaspersky.com", ""))]);
    let said = SignatureSet::builtin().with_folder(same_value.path()).unwrap_err().to_string();
    assert!(
        said.contains(
            "x.toml:4: the suffix \"upd.kaspersky.com\" is looked for twice, first in signatures/update.toml:"
        ),
        "{said}"
    );
}

#[test]
fn folders_that_cannot_be_read_are_refused() {
    let empty = folder(&[("a.txt", "")]);
    let said = SignatureSet::from_folder(empty.path()).unwrap_err().to_string();
    assert!(
        said.ends_with(": this folder holds no file named *.toml; name the folder that holds the signature files"),
        "{said}"
    );
    let said = SignatureSet::from_folder(Path::new("/no/such/folder")).unwrap_err().to_string();
    assert!(said.starts_with("/no/such/folder: cannot be read: "), "{said}");
    let binary = folder(&[]);
    fs::write(binary.path().join("a.toml"), b"\xff\xfe").unwrap();
    assert!(SignatureSet::from_folder(binary.path()).unwrap_err().to_string().contains("a.toml:1: not UTF-8"));
}

#[test]
fn bad_lines_are_named_and_put_right() {
    let right = entry("KL-UPD-0400", "exact", "a.example.com", "");
    let with = |from: &str, to: &str| right.replace(from, to);
    for (text, said) in [
        (
            with("\"update\"", "\"updates\""),
            "a.toml:5: unknown category \"updates\"; expected one of update, telemetry, reputation, activation, account, cloud-console, \
             download, pki, messaging, in-page-script, password-manager, mobile, oem, web-browse, mail, threat-intel, management",
        ),
        (
            with("\"installed\"", "\"strong\""),
            "a.toml:6: unknown strength \"strong\"; expected one of installed, ambiguous, browse",
        ),
        (
            with("KL-UPD-0400", "KL-UPD-400"),
            "a.toml:2: bad id \"KL-UPD-400\"; an indicator of category \"update\" is named KL-UPD-0001 to KL-UPD-0499, or in a form of your own that does not begin with KL-",
        ),
        (
            with("KL-UPD-0400", "KL-WEB-0400").replace("web-browse", "update"),
            "a.toml:2: bad id \"KL-WEB-0400\"; an indicator of category \"update\" is named KL-UPD-0001 to KL-UPD-0499, or in a form of your own that does not begin with KL-",
        ),
        (
            format!("{right}{right}"),
            "a.toml:11: id \"KL-UPD-0400\" is taken by a.toml:2; give each indicator an id of its own",
        ),
        (
            format!("{right}{}", with("0400", "0401")),
            "a.toml:13: the exact \"a.example.com\" is looked for twice, first in a.toml:2; keep one of them",
        ),
        (
            with("[\"https://example.com\"]", "[]"),
            "a.toml:7: no source; name at least one page or document that says so, as sources = [\"https://...\"]",
        ),
        (
            with("sources = [\"https://example.com\"]\n", ""),
            "a.toml:1: no source; name at least one page or document that says so, as sources = [\"https://...\"]",
        ),
        (
            with("[\"https://example.com\"]", "[\"\"]"),
            "a.toml:7: \"sources\" is no list of texts; write it as sources = [\"...\", \"...\"]",
        ),
        (
            with("date = 2026-11-23", "date = \"23.11.2026\""),
            "a.toml:8: \"date\" is no day; write it without quotes, as date = 2026-11-23",
        ),
        (
            with("date = 2026-11-23\n", ""),
            "a.toml:1: this indicator has no \"date\"; write the day of the last check, as date = 2026-11-23",
        ),
        (
            with("value = 'a.example.com'\n", ""),
            "a.toml:1: this indicator has no \"value\"; every one needs id, match, value, category, strength, sources and date",
        ),
        (
            with("'a.example.com'", "'A.example.com'"),
            "a.toml:4: \"A.example.com\" holds upper case; names are compared in lower case, so write \"a.example.com\"",
        ),
        (
            with("'a.example.com'", "'https://a.example.com/'"),
            "a.toml:4: \"https://a.example.com/\" is no domain name; expected the form upd.example.com, without scheme, port or final dot",
        ),
        (
            with("'a.example.com'", "'com'"),
            "a.toml:4: \"com\" is a single label, which would match half a network; name at least two",
        ),
        (with("'a.example.com'", "7"), "a.toml:4: \"value\" is no text; write it in quotes, as value = \"...\""),
        (
            entry("KL-UPD-0400", "template", "{0-9999}.example.com", ""),
            "a.toml:4: bad template: the range {0-9999} stands for more than 1000 names; split it, or use a suffix instead",
        ),
        (
            entry("KL-UPD-0400", "template", "a.example.com", ""),
            "a.toml:4: bad template \"a.example.com\": it has neither {00-19} nor *; use match = \"exact\"",
        ),
        (
            entry("KL-UPD-0400", "template", "a.*.com", ""),
            "a.toml:4: bad template \"a.*.com\": its last two labels must be plain text",
        ),
        (
            entry("KL-UPD-0400", "address", "192.0.2.1/24", ""),
            "a.toml:4: the address in \"192.0.2.1/24\" is not the first of its range; write 192.0.2.0/24",
        ),
        (
            entry("KL-UPD-0400", "address", "example.com", ""),
            "a.toml:4: bad address \"example.com\"; expected the form 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32",
        ),
        (
            entry("KL-UPD-0400", "path-regex", "/index/(u", "literal = \"/index/u\""),
            "a.toml:4: bad regular expression: unclosed group; see docs/signatures.md for what may stand in one",
        ),
        (
            entry("KL-UPD-0400", "path-regex", "/a{60000}{60000}/", "literal = \"/aaaa\""),
            "a.toml:4: the regular expression is too big; make its repetitions shorter",
        ),
        (
            entry("KL-UPD-0400", "path-regex", "/index/u", ""),
            "a.toml:4: a regular expression needs a literal beside it: text that stands in everything it is meant for",
        ),
        (
            entry("KL-UPD-0400", "path-contains", "/updates/", ""),
            "a.toml:4: \"/updates/\" also matches \"/updates/\", which is everyday traffic; make it more specific",
        ),
        (
            entry("KL-UPD-0400", "path-suffix", "dailyc.kdc", ""),
            "a.toml:4: \"dailyc.kdc\" is no path; it begins with / and holds neither query nor space",
        ),
        (
            entry("KL-UPD-0400", "user-agent-regex", "^.*/.*$", "literal = \"/\""),
            "a.toml:4: \"^.*/.*$\" also matches \"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
             Chrome/142.0.0.0 Safari/537.36\", which is everyday traffic; make it more specific",
        ),
        (
            entry("KL-UPD-0400", "ja3", "C63E", ""),
            "a.toml:4: bad JA3 \"C63E\"; expected 32 hexadecimal digits in lower case",
        ),
        (
            entry("KL-UPD-0400", "port", "tcp/0", ""),
            "a.toml:4: bad port \"tcp/0\"; expected the form tcp/13000 or udp/23100-23199",
        ),
        (
            entry("KL-UPD-0400", "exact", "a.example.com", "literal = \"a\""),
            "a.toml:9: \"literal\" means nothing for match = \"exact\"; remove it",
        ),
        (
            entry("KL-UPD-0400", "exact", "a.example.com", "rev = 0"),
            "a.toml:9: \"rev\" is no count from 1; write it as rev = 2",
        ),
        (
            format!("version = \"1\"\n{right}\nindicators = 1"),
            "a.toml:12: unknown key \"indicators\"; expected one of id, match, value, literal, also, tls_version, ports, category, strength, \
             products, engine_in, era, sources, date, note, rev",
        ),
        (
            format!("indicators = 1\n{right}"),
            "a.toml:1: unknown key \"indicators\"; expected \"version\", [[product]] or [[indicator]]",
        ),
        (
            "[indicator]\nid = 1".to_owned(),
            "a.toml:1: \"indicator\" is no list of tables; begin each one with [[indicator]]",
        ),
        ("version = 7".to_owned(), "a.toml:1: the version is no text; write it like \"2026.11\""),
    ] {
        assert_eq!(refused(&text), said);
    }
}

#[test]
fn files_that_are_no_toml_name_the_line() {
    let said = refused("version = \"1\"\n[[indicator]\n");
    assert!(said.starts_with("a.toml:2: not TOML: "), "{said}");
    let said = refused("version = \"1\"\nversion = \"2\"\n");
    assert!(said.starts_with("a.toml:2: not TOML: "), "{said}");
}

#[test]
fn two_files_with_a_version_are_refused() {
    let folder = folder(&[("a.toml", "version = \"1\""), ("b.toml", "\n\nversion = \"2\"")]);
    let said = SignatureSet::from_folder(folder.path()).unwrap_err().to_string();
    assert!(said.contains("b.toml:3: the version is given a second time, first in "), "{said}");
}

#[test]
fn no_text_makes_the_loader_panic() {
    let right = entry("KL-UPD-0400", "template", "s{00-19}.*.example.com", "also = []\nrev = 2\nnote = \"x\"");
    for end in 0..right.len() {
        let cut = folder(&[("a.toml", &right[..end])]);
        let _ = SignatureSet::from_folder(cut.path());
        let mut broken = right.clone().into_bytes();
        broken[end] = b"\"{}[]*\n\\"[end % 8];
        let broken = folder(&[("a.toml", &String::from_utf8(broken).unwrap())]);
        let _ = SignatureSet::from_folder(broken.path());
    }
    let deep = folder(&[("a.toml", &format!("indicator = {}", "[".repeat(100_000)))]);
    assert!(SignatureSet::from_folder(deep.path()).is_err());
}

#[test]
fn explanations_name_the_winner_and_the_rest() {
    let explanation = SignatureSet::builtin().explain("s20.upd.kaspersky.com");
    let winner = explanation.winner.unwrap();
    assert_eq!(winner.part, "name");
    assert!(
        winner.why.starts_with("suffix upd.kaspersky.com, longest of 2: also kaspersky.com (KL-WEB-"),
        "{}",
        winner.why
    );
    assert_eq!(explanation.others.len(), 1);
    assert!(SignatureSet::builtin().explain("kaspersky.com.evil.example").winner.is_none());
}

#[test]
fn all_that_is_wrong_is_said() {
    let one = "versio = \"1\"\n[[indicator]]\nid = \"KL-UPD-0499\"\nmatch = \"suffixx\"\nvalue = 7\nnew = 1\n\
        category = \"update\"\nstrength = \"sure\"\nsources = []\ndate = \"today\"\n[[indicator]]\nid = \"x\"\n\
        = 1\ncategory = \"updates\"\n";
    let folder = folder(&[("one.toml", one), ("two.toml", "version = 2\n")]);
    let faults: Vec<String> =
        SignatureSet::of_folders(Some(folder.path()), None).unwrap_err().iter().map(ToString::to_string).collect();
    for part in [
        "one.toml:1: unknown key \"versio\"",
        "one.toml:4: unknown kind of match",
        "one.toml:5: \"value\" is no text",
        "one.toml:6: unknown key \"new\"",
        "one.toml:8: unknown strength",
        "one.toml:9: no source",
        "one.toml:10: \"date\" is no day",
        "one.toml:13: not TOML",
        "one.toml:14: unknown category \"updates\"",
        "two.toml:1: the version is no text",
    ] {
        assert_eq!(faults.iter().filter(|fault| fault.contains(part)).count(), 1, "{part}: {faults:#?}");
    }
    fs::write(folder.path().join("zoo.toml"), b"version = \"1\"\n# caf\xe9\n").unwrap();
    let faults: Vec<String> =
        SignatureSet::of_folders(Some(folder.path()), None).unwrap_err().iter().map(ToString::to_string).collect();
    assert!(faults.iter().any(|fault| fault.contains("zoo.toml:2: not UTF-8")), "{faults:#?}");
    let first = SignatureSet::from_folder(folder.path()).unwrap_err().to_string();
    assert!(faults.contains(&first), "{first}");
    let builtin = SignatureSet::of_folders(None, None).unwrap();
    assert_eq!(builtin.version(), SignatureSet::builtin().version());
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("signatures");
    assert!(SignatureSet::of_folders(None, Some(&root)).is_err(), "each id is there already");
    let own = "version = \"7\"\n[[indicator]]\nid = \"ORG-1\"\nmatch = \"exact\"\nvalue = \"upd.example.com\"\n\
        category = \"update\"\nstrength = \"installed\"\nsources = [\"https://example.com/\"]\ndate = 2026-11-23\n";
    let extra = self::folder(&[("own.toml", own)]);
    let set = SignatureSet::of_folders(Some(&root), Some(extra.path())).unwrap();
    let same = SignatureSet::from_folder(&root).unwrap().with_folder(extra.path()).unwrap();
    assert_eq!((set.version(), set.sha256(), set.len()), (same.version(), same.sha256(), same.len()));
}
