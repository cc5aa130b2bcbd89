//! Whatever C hands over, within what its pointers promise: a status and a message that says what to do, never the end of the host.

#![allow(unsafe_code, clippy::unwrap_used)]

use kaspector_c::*;
use proptest::prelude::*;
use std::ffi::{CStr, CString};
use std::ptr::{null, null_mut};

/// A detector that is freed.
struct Owned(*mut Handle);

// SAFETY: as the header says, a detector may move between threads, and refuses a second call at once.
unsafe impl Sync for Owned {}

impl Owned {
    fn new(options: *const Options) -> (Self, Status) {
        let mut handle = null_mut();
        // SAFETY: options of the tests are right, or of the wrong size alone.
        let status = unsafe { kaspector_new(options, &raw mut handle) };
        (Self(handle), status)
    }

    fn plain() -> Self {
        let (owned, status) = Self::new(null());
        assert_eq!((status, owned.message().as_str()), (Status::KASPECTOR_OK, ""));
        owned
    }

    fn message(&self) -> String {
        // SAFETY: the message lives until the next call.
        unsafe { CStr::from_ptr(kaspector_message(self.0)) }.to_str().unwrap().to_owned()
    }

    fn feed(&self, packets: &[Packet]) -> Status {
        // SAFETY: the bytes of the packets live.
        unsafe { kaspector_feed(self.0, packets.as_ptr(), packets.len()) }
    }

    fn total(&self, name: &str) -> u64 {
        // SAFETY: counters live until they are read again.
        unsafe {
            assert_eq!(kaspector_read_counters(self.0, null_mut()), Status::KASPECTOR_OK);
            (0..)
                .map_while(|at| kaspector_counter_at(self.0, at).as_ref())
                .find(|counter| CStr::from_ptr(counter.name.data).to_str() == Ok(name))
                .map_or(0, |counter| counter.value)
        }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: it is not used again.
        unsafe { kaspector_free(self.0) };
    }
}

fn packet(bytes: &[u8]) -> Packet {
    let caplen = u32::try_from(bytes.len()).unwrap();
    Packet { ts_ns: 1, link_type: 1, caplen, wirelen: caplen, data: bytes.as_ptr() }
}

#[test]
fn null_is_an_argument_like_any_other() {
    // SAFETY: NULL is what is tried.
    unsafe {
        assert_eq!(kaspector_new(null(), null_mut()), Status::KASPECTOR_ERROR_ARGUMENT);
        assert_eq!(kaspector_feed(null_mut(), null(), 1), Status::KASPECTOR_ERROR_ARGUMENT);
        assert_eq!(kaspector_finish(null_mut()), Status::KASPECTOR_ERROR_ARGUMENT);
        assert_eq!(kaspector_scan(null_mut(), null()), Status::KASPECTOR_ERROR_ARGUMENT);
        assert_eq!(kaspector_take_alerts(null_mut(), null_mut()), Status::KASPECTOR_ERROR_ARGUMENT);
        assert_eq!(CStr::from_ptr(kaspector_message(null())), c"the detector is NULL");
        assert!(kaspector_host_at(null(), 0).is_null() && kaspector_alert_at(null(), 0).is_null());
        assert!(kaspector_evidence_at(null(), 0, 0).is_null() && kaspector_counter_at(null(), 0).is_null());
        kaspector_options_init(null_mut(), 8);
        kaspector_free(null_mut());
        let owned = Owned::plain();
        let mut text = Text { data: null(), len: 7 };
        assert_eq!(kaspector_feed(owned.0, null(), 0), Status::KASPECTOR_OK);
        assert_eq!(kaspector_feed(owned.0, null(), 1), Status::KASPECTOR_ERROR_ARGUMENT);
        assert!(owned.message().contains("packets is NULL"));
        assert_eq!(kaspector_feed(owned.0, std::ptr::dangling(), usize::MAX), Status::KASPECTOR_ERROR_ARGUMENT);
        assert_eq!(kaspector_scan(owned.0, null()), Status::KASPECTOR_ERROR_ARGUMENT);
        assert_eq!(kaspector_host_json(owned.0, 0, null_mut()), Status::KASPECTOR_ERROR_ARGUMENT);
        assert_eq!(kaspector_host_json(owned.0, 0, &raw mut text), Status::KASPECTOR_ERROR_ARGUMENT);
        assert_eq!((owned.message().as_str(), text.len), ("there is no host 0; there are 0, from 0", 0));
        assert_eq!(kaspector_alert_eve(owned.0, 3, &raw mut text), Status::KASPECTOR_ERROR_ARGUMENT);
    }
}

#[test]
fn a_packet_without_bytes_keeps_the_whole_batch_out() {
    let owned = Owned::plain();
    let good = packet(&[0; 60]);
    let bad = Packet { data: null(), ..good };
    assert_eq!(owned.feed(&[good, bad]), Status::KASPECTOR_ERROR_ARGUMENT);
    assert!(owned.message().starts_with("packet 1 of the batch"), "{}", owned.message());
    assert_eq!(owned.total("packets"), 0);
    let empty = Packet { caplen: 0, wirelen: 60, ..bad };
    let strange = Packet { link_type: u32::MAX, wirelen: 3, ..good };
    assert_eq!(owned.feed(&[good, empty, strange]), Status::KASPECTOR_OK);
    assert_eq!((owned.total("packets"), owned.total("bytes")), (3, 120));
    assert_eq!((owned.total("truncated"), owned.total("unsupported_link_type")), (1, 1));
    // SAFETY: the path lives.
    let status = unsafe { kaspector_scan(owned.0, c"nowhere.pcap".as_ptr()) };
    assert_eq!(status, Status::KASPECTOR_ERROR_ORDER);
    assert!(owned.message().contains("call kaspector_finish before"), "{}", owned.message());
    // SAFETY: as above.
    let status = unsafe { (kaspector_finish(owned.0), kaspector_scan(owned.0, c"nowhere.pcap".as_ptr())).1 };
    assert_eq!(status, Status::KASPECTOR_ERROR_CAPTURE);
    assert!(owned.message().starts_with("nowhere.pcap: cannot be opened"), "{}", owned.message());
}

#[test]
fn what_came_before_damage_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../");
    let mut bytes = std::fs::read(format!("{root}pcaps/dns-then-tls.pcap")).unwrap();
    bytes.pop();
    let path = folder.path().join("cut.pcap");
    std::fs::write(&path, bytes).unwrap();
    let path = CString::new(path.to_str().unwrap()).unwrap();
    let owned = Owned::plain();
    let mut hosts = 0;
    // SAFETY: the path lives.
    unsafe {
        assert_eq!(kaspector_scan(owned.0, path.as_ptr()), Status::KASPECTOR_ERROR_CAPTURE);
        assert!(owned.message().contains("what came before was read"), "{}", owned.message());
        assert_eq!(kaspector_host_count(owned.0, &raw mut hosts), Status::KASPECTOR_OK);
    }
    assert_eq!(hosts, 1);
}

#[test]
fn options_that_cannot_be_are_told() {
    let told = |options: &Options, status: Status, part: &str| {
        let (owned, refused) = Owned::new(options);
        assert_eq!(refused, status);
        assert!(owned.message().contains(part), "{}", owned.message());
        assert_eq!(owned.feed(&[packet(&[0; 60])]), status, "the detector says so again");
    };
    let argument = Status::KASPECTOR_ERROR_ARGUMENT;
    told(&Options { size: 0, ..Options::default() }, argument, "kaspector_options_init");
    told(&Options { size: 1 << 40, ..Options::default() }, argument, "kaspector_options_init");
    told(&Options { eve_version: 6, ..Options::default() }, argument, "7 or 8");
    told(&Options { source: c"\xff".as_ptr(), ..Options::default() }, argument, "not UTF-8");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.toml"), "[[indicator]]\nid = 1\n").unwrap();
    let path = CString::new(folder.path().to_str().unwrap()).unwrap();
    let wrong = Options { signatures: path.as_ptr(), ..Options::default() };
    told(&wrong, Status::KASPECTOR_ERROR_SIGNATURES, "a.toml:1");
    let missing = Options { extra_signatures: c"/no/such/folder".as_ptr(), ..Options::default() };
    told(&missing, Status::KASPECTOR_ERROR_SIGNATURES, "/no/such/folder");
    // A program that was compiled with a later header, which asks for what is not here.
    #[repr(C)]
    struct Later(Options, u64);
    let mut later = Later(Options { size: size_of::<Later>(), ..Options::default() }, 0);
    assert_eq!(Owned::new((&raw const later).cast()).1, Status::KASPECTOR_OK);
    later.1 = 1;
    let (owned, status) = Owned::new((&raw const later).cast());
    assert_eq!(status, argument);
    assert!(owned.message().contains("update the library"));
    let first = Owned::plain();
    let shared = Options { share_signatures: first.0, ..Options::default() };
    let (second, status) = Owned::new(&raw const shared);
    drop(first);
    assert_eq!((status, second.feed(&[packet(&[0; 60])])), (Status::KASPECTOR_OK, Status::KASPECTOR_OK));
}

#[test]
fn two_threads_on_one_detector_hurt_nobody() {
    let owned = Owned::plain();
    let bytes = [0_u8; 60];
    let taken = std::sync::atomic::AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let (owned, taken) = (&owned, &taken);
            scope.spawn(move || {
                for _ in 0..2_000 {
                    match owned.feed(&[packet(&bytes)]) {
                        Status::KASPECTOR_OK => _ = taken.fetch_add(1, std::sync::atomic::Ordering::Relaxed),
                        status => assert_eq!(status, Status::KASPECTOR_ERROR_BUSY),
                    }
                }
            });
        }
    });
    assert_eq!(owned.total("packets"), taken.into_inner());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_bytes_are_taken(
        packets in proptest::collection::vec(
            (proptest::collection::vec(any::<u8>(), 0..200), 0..300_u32, any::<u64>(), any::<u32>()), 0..80)
    ) {
        let owned = Owned::plain();
        let batch: Vec<Packet> = packets
            .iter()
            .map(|(bytes, link_type, ts_ns, wirelen)| {
                Packet { link_type: *link_type, ts_ns: *ts_ns, wirelen: *wirelen, ..packet(bytes) }
            })
            .collect();
        prop_assert_eq!(owned.feed(&batch), Status::KASPECTOR_OK);
        prop_assert_eq!(owned.total("packets"), batch.len() as u64);
        // SAFETY: the detector lives.
        prop_assert_eq!(unsafe { kaspector_finish(owned.0) }, Status::KASPECTOR_OK);
        prop_assert_eq!(owned.total("packets"), batch.len() as u64);
    }
}
