#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn message(number: u64, weight: Weight) -> Message {
    let line = format!("{{\"n\":{number},\"pad\":\"{}\"}}", "x".repeat(40));
    Message { uid: format!("{number:026}").into(), host: "10.0.0.1".into(), weight, line: line.into() }
}

fn takers(count: usize) -> Vec<Taker> {
    (0..count).map(|number| Taker { name: format!("file:/{number}"), takes_stats: number == 0 }).collect()
}

fn numbers(batch: &Batch) -> Vec<u64> {
    batch.messages.iter().map(|message| message.uid.parse().unwrap()).collect()
}

fn all(reader: &mut Reader) -> Vec<u64> {
    let mut found = Vec::new();
    loop {
        let batch = reader.next_batch(7, 1 << 20);
        if batch.messages.is_empty() {
            return found;
        }
        found.extend(numbers(&batch));
        reader.taken(batch.last);
    }
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "segment"))
        .collect();
    paths.sort();
    paths
}

#[test]
fn each_output_sees_every_message_in_order_and_stats_only_where_they_are_wanted() {
    let folder = tempfile::tempdir().unwrap();
    for place in [Some(folder.path()), None] {
        let mut spool = Spool::open(place, SpoolLimits::default(), &takers(2)).unwrap();
        let (mut first, mut second) = (spool.reader(0), spool.reader(1));
        for number in 0..30 {
            spool.append(message(number, WEIGHTS[number as usize % 3]));
        }
        assert_eq!(all(&mut first), (0..30).collect::<Vec<_>>());
        assert_eq!(all(&mut second), (0..30).filter(|number| number % 3 != 0).collect::<Vec<_>>());
        assert!(first.is_caught_up() && second.is_caught_up());
        assert_eq!((first.lost(), second.lost()), (0, 0));
        spool.close();
        assert!(segments(folder.path()).is_empty());
    }
}

#[test]
fn outputs_come_and_go_and_come_back() {
    let folder = tempfile::tempdir().unwrap();
    for place in [Some(folder.path()), None] {
        let mut spool = Spool::open(place, SpoolLimits::default(), &takers(2)).unwrap();
        let (change, mut first) = (spool.takers(), spool.reader(0));
        let append = |spool: &mut Spool, numbers: std::ops::Range<u64>| {
            numbers.for_each(|number| spool.append(message(number, Weight::Finding)));
        };
        append(&mut spool, 0..10);
        // The second has taken four of them when it goes; what is new begins behind all ten.
        let mut second = spool.reader(1);
        let batch = second.next_batch(4, 1 << 20);
        second.taken(batch.last);
        drop(second);
        change.remove("file:/1");
        let mut third = change.add(Taker { name: "file:/2".to_owned(), takes_stats: false }).unwrap();
        append(&mut spool, 10..20);
        assert_eq!(all(&mut first), (0..20).collect::<Vec<_>>());
        assert_eq!(all(&mut third), (10..20).collect::<Vec<_>>());
        // Nothing waits for the one that is gone, and what is there still is given to it when it is back.
        append(&mut spool, 20..30);
        let mut second = change.add(Taker { name: "file:/1".to_owned(), takes_stats: false }).unwrap();
        let back = all(&mut second);
        assert!(
            back.ends_with(&(20..30).collect::<Vec<_>>()) && back.first().is_some_and(|&first| first >= 4),
            "{back:?}"
        );
        assert_eq!(second.lost(), 0);
        change.remove("file:/1");
        append(&mut spool, 30..31);
        assert_eq!((all(&mut first).len(), all(&mut third).len()), (11, 11));
        drop((first, second, third));
        assert!(!spool.has_readers(), "whoever may change the outputs is no reader");
        spool.close();
        assert!(segments(folder.path()).is_empty(), "the one that is gone holds nothing back");
        assert!(change.add(Taker { name: "file:/3".to_owned(), takes_stats: false }).is_none());
    }
}

#[test]
fn an_output_that_came_while_the_spool_was_in_use_is_known_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let new = || Taker { name: "file:/new".to_owned(), takes_stats: false };
    let mut spool = Spool::open(Some(folder.path()), SpoolLimits::default(), &takers(1)).unwrap();
    spool.append(message(0, Weight::Finding));
    let _reader = spool.takers().add(new()).unwrap();
    spool.append(message(1, Weight::Finding));
    drop((spool, _reader)); // As a kill would: nothing is synced or closed.
    let takers: Vec<Taker> = takers(1).into_iter().chain([new()]).collect();
    let spool = Spool::open(Some(folder.path()), SpoolLimits::default(), &takers).unwrap();
    assert_eq!(all(&mut spool.reader(1)), [1]);
}

#[test]
fn a_new_run_goes_on_where_each_output_stood() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Spool::open(Some(folder.path()), SpoolLimits::default(), &takers(2)).unwrap();
    let mut spool = open();
    let mut first = spool.reader(0);
    for number in 0..10 {
        spool.append(message(number, Weight::Finding));
    }
    let batch = first.next_batch(4, 1 << 20);
    first.taken(batch.last);
    spool.save_checkpoints();
    drop(spool); // As a kill would: nothing is synced or closed.
    let mut spool = open();
    spool.append(message(10, Weight::Summary));
    assert_eq!(all(&mut spool.reader(0)), (4..11).collect::<Vec<_>>());
    assert_eq!(all(&mut spool.reader(1)), (0..11).collect::<Vec<_>>());
    spool.close();
    let spool = Spool::open(Some(folder.path()), SpoolLimits::default(), &takers(3)).unwrap();
    assert!(all(&mut spool.reader(2)).is_empty());
}

#[test]
fn a_folder_has_one_owner() {
    let folder = tempfile::tempdir().unwrap();
    let _spool = Spool::open(Some(folder.path()), SpoolLimits::default(), &takers(1)).unwrap();
    let second = Spool::open(Some(folder.path()), SpoolLimits::default(), &takers(1));
    assert!(matches!(second, Err(SpoolError::InUse { .. })));
}

#[test]
fn what_is_given_up_is_the_lightest_and_oldest_and_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let limits = SpoolLimits { disk_bytes: 128 << 10, memory_bytes: 64 << 10 };
    for place in [Some(folder.path()), None] {
        let mut spool = Spool::open(place, limits, &takers(2)).unwrap();
        let (mut first, mut second) = (spool.reader(0), spool.reader(1));
        // Three kinds in turn, more than there is room for.
        for number in 0..1500 {
            spool.append(message(number, WEIGHTS[number as usize % 3]));
        }
        spool.sync();
        let (seen, alike) = (all(&mut first), all(&mut second));
        let count = |kind: u64| seen.iter().filter(|&&number| number % 3 == kind).count();
        // Only when the lighter kinds are gone does a heavier one go.
        assert!(count(0) < 500 && count(2) > 100);
        assert!(count(1) == 500 || count(0) == 0, "{} {} {}", count(0), count(1), count(2));
        assert!(count(2) == 500 || count(1) == 0, "{} {} {}", count(0), count(1), count(2));
        assert!(seen.is_sorted());
        assert_eq!(seen.len() as u64 + first.lost(), 1500);
        assert_eq!(alike.len() as u64 + second.lost(), 1000);
        // Of the findings, the newest is there.
        assert!(seen.contains(&1499));
        drop(spool);
    }
}

#[test]
fn a_dead_output_costs_a_live_one_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let limits = SpoolLimits { disk_bytes: 64 << 10, memory_bytes: 64 << 10 };
    let mut spool = Spool::open(Some(folder.path()), limits, &takers(2)).unwrap();
    let (mut live, dead) = (spool.reader(0), spool.reader(1));
    let mut seen = Vec::new();
    for number in 0..2000 {
        spool.append(message(number, Weight::Finding));
        if number % 10 == 9 {
            seen.extend(all(&mut live));
        }
    }
    assert_eq!(seen, (0..2000).collect::<Vec<_>>());
    assert_eq!(live.lost(), 0);
    assert!(dead.lost() > 0 && dead.disk_bytes() <= 64 << 10);
}

#[test]
fn what_no_disk_takes_stays_in_memory_and_goes_there_later() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("spool");
    let mut spool = Spool::open(Some(&place), SpoolLimits::default(), &takers(1)).unwrap();
    let mut reader = spool.reader(0);
    // A folder that is away refuses whoever asks, the administrator too.
    let away = folder.path().join("away");
    fs::rename(&place, &away).unwrap();
    spool.append(message(0, Weight::Finding));
    assert!(!spool.sync() && spool.trouble().is_some());
    assert_eq!(numbers(&reader.next_batch(10, 1 << 20)), [0]);
    fs::rename(&away, &place).unwrap();
    spool.append(message(1, Weight::Finding));
    assert!(spool.sync() && spool.trouble().is_none());
    assert_eq!(numbers(&reader.next_batch(10, 1 << 20)), [1]);
    drop((spool, reader));
    let spool = Spool::open(Some(&place), SpoolLimits::default(), &takers(1)).unwrap();
    assert_eq!(all(&mut spool.reader(0)), [0, 1]);
}

#[derive(Clone, Debug)]
enum Act {
    Append(usize),
    Read(usize, usize),
    Save,
    Sync,
    /// As after a kill: nothing that was not written is there.
    Crash,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0_usize..3).prop_map(Act::Append),
        3 => (0_usize..2, 1_usize..9).prop_map(|(taker, max)| Act::Read(taker, max)),
        1 => Just(Act::Save),
        1 => Just(Act::Sync),
        1 => Just(Act::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nothing_is_missed_whatever_happens(acts in proptest::collection::vec(act(), 1..120)) {
        let folder = tempfile::tempdir().unwrap();
        let open = || Spool::open(Some(folder.path()), SpoolLimits::default(), &takers(2)).unwrap();
        let mut spool = open();
        let mut readers = [spool.reader(0), spool.reader(1)];
        let mut sent = Vec::new();
        let mut seen = [Vec::new(), Vec::new()];
        for act in acts {
            match act {
                Act::Append(weight) => {
                    let number = sent.len() as u64;
                    spool.append(message(number, WEIGHTS[weight]));
                    sent.push(WEIGHTS[weight]);
                }
                Act::Read(taker, max) => {
                    let batch = readers[taker].next_batch(max, 1 << 20);
                    seen[taker].push(numbers(&batch));
                    readers[taker].taken(batch.last);
                }
                Act::Save => spool.save_checkpoints(),
                Act::Sync => prop_assert!(spool.sync()),
                Act::Crash => {
                    drop(spool);
                    spool = open();
                    readers = [spool.reader(0), spool.reader(1)];
                }
            }
        }
        for (taker, reader) in readers.iter_mut().enumerate() {
            seen[taker].push(all(reader));
            let wanted: BTreeSet<u64> = (0..sent.len() as u64)
                .filter(|&number| taker == 0 || sent[number as usize] != Weight::Stats)
                .collect();
            let found: BTreeSet<u64> = seen[taker].iter().flatten().copied().collect();
            prop_assert_eq!(found, wanted);
            prop_assert_eq!(reader.lost(), 0);
            for batch in &seen[taker] {
                prop_assert!(batch.is_sorted());
            }
        }
    }

    #[test]
    fn damage_costs_what_it_hits_and_nothing_else(
        count in 300_u64..700, which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), cut in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        // Segments of 16 KiB.
        let limits = SpoolLimits { disk_bytes: 256 << 10, memory_bytes: 1 << 20 };
        let mut spool = Spool::open(Some(folder.path()), limits, &takers(1)).unwrap();
        for number in 0..count {
            spool.append(message(number, Weight::Finding));
        }
        drop(spool);
        let paths = segments(folder.path());
        prop_assert!(paths.len() > 1);
        let path = which.get(&paths);
        let mut bytes = fs::read(path).unwrap();
        let at = at.index(bytes.len());
        let hit = sequences_in(path).unwrap().len() as u64;
        if cut { bytes.truncate(at) } else { bytes[at] ^= 0x55 }
        fs::write(path, &bytes).unwrap();
        let left = sequences_in(path).unwrap().len() as u64;
        let spool = Spool::open(Some(folder.path()), limits, &takers(1)).unwrap();
        let mut reader = spool.reader(0);
        let found = all(&mut reader);
        prop_assert!(found.is_sorted());
        prop_assert_eq!(found.len() as u64, count - (hit - left));
        if !cut {
            prop_assert_eq!(hit - left, 1);
            prop_assert_eq!(reader.lost(), 1);
        }
    }
}
