#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;
use proptest::prelude::*;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::collections::BTreeSet;
use std::fs;

fn message(number: u64, weight: Weight) -> Message {
    let line = format!("{{\"n\":\"{number:08}\",\"pad\":\"{}\"}}", "x".repeat(40));
    Message { uid: format!("{number:026}").into(), host: "10.0.0.1".into(), weight, line: line.into() }
}

fn takers(count: usize) -> Vec<Taker> {
    (0..count)
        .map(|number| Taker {
            name: format!("file:/{number}"),
            lightest: if number == 0 { Weight::Stats } else { Weight::Summary },
        })
        .collect()
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
        reader.account().set_in_hand(&[]);
        reader.delivered(batch.last);
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
        let mut third = change.add(Taker { name: "file:/2".to_owned(), lightest: Weight::Summary }).unwrap();
        append(&mut spool, 10..20);
        assert_eq!(all(&mut first), (0..20).collect::<Vec<_>>());
        assert_eq!(all(&mut third), (10..20).collect::<Vec<_>>());
        // Nothing waits for the one that is gone, and what is there still is given to it when it is back.
        append(&mut spool, 20..30);
        let mut second = change.add(Taker { name: "file:/1".to_owned(), lightest: Weight::Summary }).unwrap();
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
        assert!(change.add(Taker { name: "file:/3".to_owned(), lightest: Weight::Summary }).is_none());
    }
}

#[test]
fn an_output_that_came_while_the_spool_was_in_use_is_known_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let new = || Taker { name: "file:/new".to_owned(), lightest: Weight::Summary };
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
        // What a segment of a heavier kind leaves free is taken by lighter ones again, until it is needed.
        const IN_A_SEGMENT: usize = (SEGMENT_MIN / 120) as usize;
        assert!(count(1) == 500 || count(0) < IN_A_SEGMENT, "{} {} {}", count(0), count(1), count(2));
        assert!(count(2) == 500 || count(1) < IN_A_SEGMENT, "{} {} {}", count(0), count(1), count(2));
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
    assert!(dead.lost() > 0 && spool.takers().look().unwrap().0 <= 64 << 10);
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
    fn whatever_happens_to_a_segment_is_counted_to_the_message(
        count in 300_u64..700, which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), how in misfortune(),
        read in 0_usize..40, is_running in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        // Segments of 16 KiB.
        let limits = SpoolLimits { disk_bytes: 256 << 10, memory_bytes: 1 << 20 };
        let mut spool = Spool::open(Some(folder.path()), limits, &takers(2)).unwrap();
        let mut readers = [spool.reader(0), spool.reader(1)];
        for number in 0..count {
            spool.append(message(number, Weight::Finding));
        }
        let mut seen = [numbers(&readers[0].next_batch(read, 1 << 20)), Vec::new()];
        readers[0].taken(seen[0].len() as u64);
        spool.save_checkpoints();
        let paths = segments(folder.path());
        prop_assert!(paths.len() > 1);
        let path = which.get(&paths);
        let is_open = path == paths.last().unwrap();
        let there = numbers_of(path);
        if !is_running {
            drop((spool, readers));
            how.strike(path, at);
            spool = Spool::open(Some(folder.path()), limits, &takers(2)).unwrap();
            readers = [spool.reader(0), spool.reader(1)];
        } else {
            // The kernel's clock for files goes in steps.
            std::thread::sleep(std::time::Duration::from_millis(8));
            how.strike(path, at);
        }
        let left = numbers_of(path);
        let missing = |taker: usize| {
            let passed = seen[taker].len() as u64;
            there.iter().filter(|number| !left.contains(number) && **number > passed).count() as u64
        };
        let wanted = [missing(0), missing(1)];
        // One that is being written is closed at the first look, and read at the second.
        spool.look();
        spool.look();
        if !(is_running && is_open && matches!(how, Misfortune::Flip)) {
            for taker in 0..2 {
                prop_assert_eq!(readers[taker].lost(), wanted[taker], "before anybody read it");
            }
        }
        spool.append(message(count, Weight::Finding));
        for taker in 0..2 {
            seen[taker].extend(all(&mut readers[taker]));
            prop_assert!(seen[taker].is_sorted());
            prop_assert!(readers[taker].is_caught_up());
            prop_assert_eq!(seen[taker].last(), Some(&count));
            prop_assert_eq!(readers[taker].lost(), wanted[taker]);
            prop_assert_eq!(seen[taker].len() as u64 + readers[taker].lost(), count + 1);
        }
        let change = spool.takers();
        prop_assert!(change.look().unwrap().1.is_some() == (wanted != [0, 0]));
        prop_assert_eq!(readers[1].account().waiting(), (0, 0));
        spool.save_checkpoints();
        drop((spool, readers));
        // Nothing is counted or told twice.
        let spool = Spool::open(Some(folder.path()), limits, &takers(2)).unwrap();
        for taker in 0..2 {
            let mut reader = spool.reader(taker);
            prop_assert_eq!((all(&mut reader), reader.lost()), (Vec::new(), 0));
        }
    }
}

/// What may become of a file.
#[derive(Clone, Copy, Debug)]
enum Misfortune {
    Cut,
    CutAtARecord,
    Empty,
    Flip,
    Remove,
    Folder,
    Pipe,
}

fn misfortune() -> impl Strategy<Value = Misfortune> {
    use Misfortune::{Cut, CutAtARecord, Empty, Flip, Folder, Pipe, Remove};
    prop::sample::select(vec![Cut, CutAtARecord, Empty, Flip, Remove, Folder, Pipe])
}

impl Misfortune {
    fn strike(self, path: &Path, at: prop::sample::Index) {
        let mut bytes = fs::read(path).unwrap();
        // All records are equally long.
        let record = bytes.len() / numbers_of(path).len();
        let at = at.index(bytes.len());
        match self {
            Self::Cut => bytes.truncate(at),
            Self::CutAtARecord => bytes.truncate(at / record * record),
            Self::Empty => bytes.clear(),
            Self::Flip => bytes[at] ^= 0x55,
            Self::Remove | Self::Folder | Self::Pipe => {
                fs::remove_file(path).unwrap();
                match self {
                    Self::Folder => fs::create_dir(path).unwrap(),
                    // By no other process: as it begins it would hold the locks of all folders, those of other tests, too.
                    Self::Pipe => mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap(),
                    _ => {}
                }
                return;
            }
        }
        fs::write(path, bytes).unwrap();
    }
}

/// The numbers of the records that can be read in a segment.
fn numbers_of(path: &Path) -> BTreeSet<u64> {
    let bytes = if path.is_file() { fs::read(path).unwrap() } else { Vec::new() };
    record::numbers_in(&bytes).0.iter().cloned().flatten().collect()
}

#[test]
fn a_folder_that_was_moved_is_waited_for_and_one_that_was_removed_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (place, away) = (folder.path().join("spool"), folder.path().join("away"));
    let mut spool = Spool::open(Some(&place), SpoolLimits::default(), &takers(2)).unwrap();
    let mut readers = [spool.reader(0), spool.reader(1)];
    (0..10).for_each(|number| spool.append(message(number, Weight::Finding)));
    fs::rename(&place, &away).unwrap();
    spool.look();
    assert!(spool.trouble().is_some_and(|trouble| trouble.contains("not there")));
    assert!(readers[0].next_batch(10, 1 << 20).messages.is_empty());
    fs::rename(&away, &place).unwrap();
    spool.look();
    assert!(spool.sync() && spool.trouble().is_none());
    assert_eq!(all(&mut readers[0]), (0..10).collect::<Vec<_>>());
    assert_eq!(readers[1].lost(), 0);
    // For good.
    fs::remove_dir_all(&place).unwrap();
    spool.look();
    spool.look();
    assert_eq!((readers[0].lost(), readers[1].lost()), (0, 10));
    (10..20).for_each(|number| spool.append(message(number, Weight::Finding)));
    spool.save_checkpoints();
    assert!(spool.trouble().is_none());
    for reader in &mut readers {
        assert_eq!(all(reader), (10..20).collect::<Vec<_>>());
    }
    // Another folder in its place.
    (20..30).for_each(|number| spool.append(message(number, Weight::Finding)));
    fs::rename(&place, &away).unwrap();
    fs::create_dir(&place).unwrap();
    spool.look();
    spool.look();
    (30..40).for_each(|number| spool.append(message(number, Weight::Finding)));
    for (reader, lost) in readers.iter_mut().zip([10, 20]) {
        assert_eq!((all(reader), reader.lost()), ((30..40).collect::<Vec<_>>(), lost));
    }
}

#[test]
fn what_an_output_had_in_hand_is_counted_once_its_segment_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let limits = SpoolLimits { disk_bytes: 64 << 10, memory_bytes: 64 << 10 };
    let open = || Spool::open(Some(folder.path()), limits, &takers(2)).unwrap();
    let mut spool = open();
    let (mut dead, mut unsettled) = (spool.reader(0), spool.reader(1));
    (0..50).for_each(|number| spool.append(message(number, Weight::Finding)));
    let (in_hand, delivered) = (dead.next_batch(20, 1 << 20), unsettled.next_batch(20, 1 << 20));
    unsettled.account().set_in_hand(&[]);
    unsettled.delivered(delivered.last);
    assert_eq!((in_hand.messages.len(), delivered.messages.len()), (20, 20));
    (50..2000).for_each(|number| spool.append(message(number, Weight::Finding)));
    spool.takers().look().unwrap();
    let (first, second) = (dead.lost(), unsettled.lost());
    assert_eq!(dead.account().waiting().0 + first, 2000);
    assert_eq!(unsettled.account().waiting().0 + second, 1980);
    spool.save_checkpoints();
    drop((spool, dead, unsettled)); // As a kill would.
    let spool = open();
    let (mut dead, mut unsettled) = (spool.reader(0), spool.reader(1));
    assert_eq!((dead.lost(), unsettled.lost()), (20, 0));
    assert_eq!(all(&mut dead).len() as u64 + first + 20, 2000);
    assert_eq!(all(&mut unsettled).len() as u64 + second, 1980);
}

#[test]
fn what_no_disk_has_at_the_end_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(None, SpoolLimits::default(), &takers(1)).unwrap();
    let mut reader = spool.reader(0);
    (0..30).for_each(|number| spool.append(message(number, Weight::Finding)));
    let batch = reader.next_batch(5, 1 << 20);
    reader.account().set_in_hand(&[]);
    reader.delivered(batch.last);
    reader.taken(batch.last);
    assert_eq!(reader.next_batch(5, 1 << 20).messages.len(), 5);
    let account = Arc::clone(reader.account());
    drop(reader);
    spool.close();
    let lost = account.lost().into_iter().find(|lost| lost.loss == Loss::NotWritten).unwrap();
    assert_eq!((lost.alerts, account.waiting().0), (25, 0));
    // After a kill the next run knows it.
    let place = folder.path().join("spool");
    let mut spool = Spool::open(Some(&place), SpoolLimits::default(), &takers(1)).unwrap();
    spool.append(message(0, Weight::Finding));
    let next = place.join(format!("finding-{:020}.segment", 2));
    let _ = fs::create_dir(&next);
    fs::remove_file(place.join(format!("finding-{:020}.segment", 1))).unwrap();
    spool.look();
    (1..10).for_each(|number| spool.append(message(number, Weight::Finding)));
    assert!(!spool.sync());
    spool.save_checkpoints();
    drop(spool);
    fs::remove_dir(&next).unwrap();
    let spool = Spool::open(Some(&place), SpoolLimits::default(), &takers(1)).unwrap();
    assert_eq!((all(&mut spool.reader(0)), spool.reader(0).lost()), (Vec::new(), 9));
}

#[test]
fn the_numbers_are_written_down_anew_when_their_file_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Spool::open(Some(folder.path()), SpoolLimits::default(), &takers(1)).unwrap();
    let mut spool = open();
    (0..10).for_each(|number| spool.append(message(number, Weight::Finding)));
    fs::remove_file(folder.path().join("numbers")).unwrap();
    spool.save_checkpoints();
    spool.append(message(10, Weight::Finding));
    drop(spool);
    segments(folder.path()).iter().for_each(|path| fs::remove_file(path).unwrap());
    let spool = open();
    assert_eq!((all(&mut spool.reader(0)), spool.reader(0).lost()), (Vec::new(), 11));
}

#[test]
fn files_beside_the_segments_may_be_damaged() {
    for hurt in ["checkpoint", "numbers", "both", "gone"] {
        let folder = tempfile::tempdir().unwrap();
        let open = || Spool::open(Some(folder.path()), SpoolLimits::default(), &takers(2)).unwrap();
        let mut spool = open();
        (0..10).for_each(|number| spool.append(message(number, Weight::Finding)));
        let mut reader = spool.reader(0);
        let batch = reader.next_batch(4, 1 << 20);
        reader.taken(batch.last);
        spool.save_checkpoints();
        drop((spool, reader));
        for entry in fs::read_dir(folder.path()).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if name.ends_with(".segment")
                || name == "lock"
                || (hurt != "both" && hurt != "gone" && !name.ends_with(hurt))
            {
                continue;
            }
            if hurt == "gone" { fs::remove_file(&path).unwrap() } else { fs::write(&path, "kaspector").unwrap() }
        }
        let mut spool = open();
        spool.append(message(10, Weight::Finding));
        let (mut first, mut second) = (spool.reader(0), spool.reader(1));
        let begin = match hurt {
            "numbers" => [4, 0],
            // As for outputs that are new.
            "gone" => [10, 10],
            _ => [0, 0],
        };
        for (reader, begin) in [&mut first, &mut second].into_iter().zip(begin) {
            assert_eq!(all(reader), (begin..11).collect::<Vec<_>>(), "{hurt}");
            assert_eq!(reader.lost(), 0, "{hurt}");
        }
    }
}
