//! A file of signatures: it is read, or the line that is wrong is named.
#![no_main]

use kaspector::matching::{SignatureError, SignatureSet};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let folder = std::env::temp_dir().join(format!("kaspector-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for temporary files");
    std::fs::write(folder.join("fuzz.toml"), data).expect("a temporary file");
    match SignatureSet::from_folder(&folder) {
        Ok(set) => {
            for one in set.iter() {
                assert!(set.find(&one.id).is_some());
                let _ = set.explain(&one.value);
                let _ = set.match_name(&one.value);
                let _ = set.match_path(one.value.as_bytes());
                let _ = set.match_user_agent(one.value.as_bytes());
                let _ = set.match_ja4(&one.value);
            }
            assert!(set.is_empty() || set.with_folder(&folder).is_err(), "every id is taken");
        }
        Err(SignatureError::Bad { line, .. }) => {
            assert!((1..=data.split(|&byte| byte == b'\n').count()).contains(&line));
        }
        Err(_) => {}
    }
});
