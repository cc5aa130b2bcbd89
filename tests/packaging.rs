//! The packages, the archive and the container's root, made from this test's program and looked into.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod example;

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Says why a test is left out; in continuous integration, nothing may be left out.
fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{why}; continuous integration has to have it");
    eprintln!("skipped: {why}");
}

fn has(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap();
    let found = std::env::split_paths(&paths).any(|folder| folder.join(program).is_file());
    if !found {
        skip(&format!("needs {program}"));
    }
    found
}

#[track_caller]
fn run(program: impl AsRef<OsStr>, arguments: &[&OsStr]) -> Output {
    let output = Command::new(&program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}: {output:?}", program.as_ref().display());
    output
}

#[track_caller]
fn text(output: Output) -> String {
    String::from_utf8(output.stdout).unwrap()
}

/// Has a script of the packaging pack this test's program quickly; it is otherwise the one that makes releases.
fn packed(script: &str, folder: &Path, manual: &Path) -> PathBuf {
    let output = Command::new(root().join("packaging").join(script))
        .args([OsStr::new("--out"), folder.as_os_str(), OsStr::new("--manual"), manual.as_os_str()])
        .args(["--binary", env!("CARGO_BIN_EXE_kaspector")])
        .envs([
            ("SOURCE_DATE_EPOCH", "1767225600"),
            ("DPKG_DEB_COMPRESSOR_TYPE", "gzip"),
            ("DPKG_DEB_COMPRESSOR_LEVEL", "1"),
            ("RPM_PAYLOAD", "w1.gzdio"),
        ])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).unwrap().lines().last().unwrap())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    walkdir::WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.is_file())
        .collect()
}

#[test]
fn the_package_holds_what_a_service_needs() {
    if !(has("dpkg-deb") && has("dpkg-shlibdeps") && has("strip")) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let manual = example::built("manual");
    let package = packed("deb", folder.path(), &manual);
    let tree = folder.path().join("tree");
    run("dpkg-deb", &["-R".as_ref(), package.as_os_str(), tree.as_os_str()]);

    for (path, mode) in [
        ("usr/bin/kaspector", 0o755),
        ("etc/kaspector/kaspector.toml", 0o644),
        ("etc/logrotate.d/kaspector", 0o644),
        ("usr/lib/systemd/system/kaspector.service", 0o644),
        ("usr/lib/sysusers.d/kaspector.conf", 0o644),
        ("usr/lib/tmpfiles.d/kaspector.conf", 0o644),
        ("usr/share/man/man1/kaspector.1.gz", 0o644),
        ("usr/share/bash-completion/completions/kaspector", 0o644),
        ("usr/share/zsh/vendor-completions/_kaspector", 0o644),
        ("usr/share/fish/vendor_completions.d/kaspector.fish", 0o644),
        ("usr/share/doc/kaspector/copyright", 0o644),
        ("usr/share/doc/kaspector/changelog.Debian.gz", 0o644),
        ("DEBIAN/postinst", 0o755),
    ] {
        let found = tree.join(path).metadata().unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(found.permissions().mode() & 0o7777, mode, "{path}");
    }
    let owners = text(run("dpkg-deb", &["-c".as_ref(), package.as_os_str()]));
    assert!(owners.lines().all(|line| line.contains(" root/root ")), "{owners}");

    let control = std::fs::read_to_string(tree.join("DEBIAN/control")).unwrap();
    assert!(control.contains("libc6 (>="), "what it is linked with: {control}");
    assert_eq!(control.contains("libpcap0.8"), cfg!(feature = "libpcap"), "{control}");
    assert!(!control.contains('@') || control.matches('@').count() == 1, "only the address has one: {control}");

    // Whatever is below /etc belongs to the administrator, and an update asks before it writes there.
    let conffiles = std::fs::read_to_string(tree.join("DEBIAN/conffiles")).unwrap();
    let below: Vec<String> = files(&tree.join("etc"))
        .iter()
        .map(|path| format!("/{}", path.strip_prefix(&tree).unwrap().display()))
        .collect();
    assert_eq!(conffiles.lines().collect::<Vec<_>>(), below);

    let check = Command::new("md5sum").args(["--check", "--strict", "DEBIAN/md5sums"]).current_dir(&tree).output();
    assert!(check.unwrap().status.success());
    let sums = std::fs::read_to_string(tree.join("DEBIAN/md5sums")).unwrap();
    assert_eq!(sums.lines().count(), files(&tree.join("usr")).len(), "every file has its sum");

    // A text that names a folder of the machine that built it is of no use on another, and differs on each.
    let home = std::env::var("HOME").unwrap_or_else(|_| "/root".into());
    for path in files(&tree) {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        for own in [root().to_str().unwrap(), &format!("{home}/")] {
            assert!(!text.contains(own), "{} names {own}", path.display());
        }
    }
    let version = text(run(tree.join("usr/bin/kaspector"), &["--version".as_ref()]));
    assert!(control.contains(&format!("Version: {}-", version.split_whitespace().nth(1).unwrap())), "{control}");
}

#[test]
fn the_same_sources_give_the_same_package() {
    if !(has("dpkg-deb") && has("dpkg-shlibdeps") && has("strip")) {
        return;
    }
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    packed_twice("deb", [first.path(), second.path()]);
}

/// Has a script of the packaging pack this test's program into two folders, a second apart, and gives the first package.
fn packed_twice(script: &str, folders: [&Path; 2]) -> PathBuf {
    let manual = example::built("manual");
    let first = packed(script, folders[0], &manual);
    // Another second of the clock, another folder.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let second = packed(script, folders[1], &manual);
    assert!(std::fs::read(&first).unwrap() == std::fs::read(second).unwrap(), "two packages differ");
    first
}

#[test]
fn the_rpm_holds_what_a_service_needs() {
    if !(has("rpmbuild") && has("rpm") && has("strip")) {
        return;
    }
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let package = packed_twice("rpm", [first.path(), second.path()]);
    run("rpm", &["-K".as_ref(), package.as_os_str()]);
    let listed = text(run("rpm", &["-qlp".as_ref(), package.as_os_str()]));
    let format = r"[%{FILEUSERNAME}:%{FILEGROUPNAME}\n]";
    let owners = text(run("rpm", &["-qp".as_ref(), "--qf".as_ref(), format.as_ref(), package.as_os_str()]));
    assert!(owners.lines().all(|owner| owner == "root:root"), "{owners}");
    let kept = text(run("rpm", &["-qcp".as_ref(), package.as_os_str()]));
    assert_eq!(kept.lines().collect::<Vec<_>>(), ["/etc/kaspector/kaspector.toml", "/etc/logrotate.d/kaspector"]);
    for path in [
        "/usr/bin/kaspector",
        "/usr/lib/systemd/system/kaspector.service",
        "/usr/lib/sysusers.d/kaspector.conf",
        "/usr/lib/tmpfiles.d/kaspector.conf",
        "/usr/share/man/man1/kaspector.1.gz",
        "/usr/share/bash-completion/completions/kaspector",
        "/usr/share/zsh/site-functions/_kaspector",
        "/usr/share/licenses/kaspector/LICENSE-MIT",
    ] {
        assert!(listed.lines().any(|line| line == path), "{path}: {listed}");
    }
}

#[test]
fn the_archive_holds_the_program_and_what_belongs_to_it() {
    if !(has("tar") && has("strip")) {
        return;
    }
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let archive = packed_twice("archive", [first.path(), second.path()]);
    let listed = text(run("tar", &["--list".as_ref(), "--verbose".as_ref(), "--file".as_ref(), archive.as_os_str()]));
    assert!(listed.lines().all(|line| line.contains(" 0/0 ")), "{listed}");
    run("tar", &["-C".as_ref(), first.path().as_os_str(), "-xf".as_ref(), archive.as_os_str()]);
    let name = archive.file_name().unwrap().to_str().unwrap();
    let tree = first.path().join(name.strip_suffix(".tar.gz").unwrap());
    for path in [
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "man/man1/kaspector.1",
        "completions/bash/kaspector",
        "completions/zsh/_kaspector",
        "completions/fish/kaspector.fish",
    ] {
        assert!(tree.join(path).is_file(), "{path}");
    }
    let version = text(run(tree.join("kaspector"), &["--version".as_ref()]));
    assert!(name.contains(version.split_whitespace().nth(1).unwrap()), "{name}: {version}");
}

/// Installs a package, updates it and takes it away, on a copy of this system that nobody else sees, thrown away at the end. As in an image
/// that is being built: no service manager runs, but systemctl enables and disables units.
fn on_a_copy(package: &Path, steps: &str) {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("timeout")
        .args(["300", "unshare", "--mount", "sh", "-ec", COPY, "sh"])
        .args([folder.path().as_os_str(), package.as_os_str(), steps.as_ref()])
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if said.contains("no copy") {
        return skip("needs a kernel that lays one file system over another");
    }
    assert!(output.status.success(), "{said}");
    assert!(said.lines().any(|line| line == "gone"), "{said}");
}

const COPY: &str = r#"
{ mount -t tmpfs tmpfs "$1" && mkdir "$1/upper" "$1/work" "$1/root" &&
  mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"; } || { echo no copy; exit 1; }
cp "$2" "$1/root/package"
mount -t proc proc "$1/root/proc"
exec chroot "$1/root" sh -exc "$3"
"#;

#[test]
fn the_debian_package_installs_updates_and_goes_away() {
    if !(has("dpkg") && has("unshare") && has("dpkg-shlibdeps")) {
        return;
    }
    if !rustix::process::geteuid().is_root() {
        return skip("needs root, to install");
    }
    let folder = tempfile::tempdir().unwrap();
    on_a_copy(
        &packed("deb", folder.path(), &example::built("manual")),
        r##"
dpkg -i /package
getent passwd kaspector | grep -q nologin
for folder in /var/lib/kaspector /var/log/kaspector; do test "$(stat -c "%U:%G %a" $folder)" = "kaspector:kaspector 750"; done
kaspector --version
# Which port is the mirror port, only the administrator knows.
test -z "$(find /etc/systemd/system -name "kaspector*")"
echo "# mine" >>/etc/kaspector/kaspector.toml
dpkg -i /package
tail -n 1 /etc/kaspector/kaspector.toml | grep -q mine
dpkg --remove kaspector
test ! -e /usr/bin/kaspector
test -d /var/lib/kaspector
test -e /etc/kaspector/kaspector.toml
dpkg --purge kaspector
test ! -e /var/lib/kaspector
test ! -e /etc/kaspector/kaspector.toml
echo gone
"##,
    );
}

#[test]
fn the_rpm_installs_updates_and_goes_away() {
    if !(has("rpmbuild") && has("rpm") && has("unshare") && has("systemctl")) {
        return;
    }
    if !rustix::process::geteuid().is_root() {
        return skip("needs root, to install");
    }
    let folder = tempfile::tempdir().unwrap();
    on_a_copy(
        &packed("rpm", folder.path(), &example::built("manual")),
        // What Debian installed is in no database of rpm, so nothing that the package needs is found there.
        r##"
mkdir -p /run/systemd/system
export SYSTEMD_OFFLINE=1
rpm -i --nodeps /package
getent passwd kaspector | grep -q nologin
for folder in /var/lib/kaspector /var/log/kaspector; do test "$(stat -c "%U:%G %a" $folder)" = "kaspector:kaspector 750"; done
kaspector --version
rpm --verify --nodeps kaspector
test -z "$(find /etc/systemd/system -name "kaspector*")"
systemctl enable kaspector
echo "# mine" >>/etc/kaspector/kaspector.toml
chmod 700 /var/log/kaspector
rpm -U --force --nodeps /package
tail -n 1 /etc/kaspector/kaspector.toml | grep -q mine
test "$(stat -c %a /var/log/kaspector)" = 700
test -n "$(find /etc/systemd/system -name "kaspector*")"
rpm -e kaspector
test ! -e /usr/bin/kaspector
test -d /var/lib/kaspector
grep -q mine /etc/kaspector/kaspector.toml.rpmsave
test -z "$(find /etc/systemd/system -name "kaspector*")"
echo gone
"##,
    );
}

#[test]
fn the_unit_is_right_and_closed() {
    if !has("systemd-analyze") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let unit = std::fs::read_to_string(root().join("packaging/systemd/kaspector.service")).unwrap();
    // The program is where this test built it, and the pages are not installed.
    let here = unit.replace("/usr/bin/kaspector", env!("CARGO_BIN_EXE_kaspector"));
    let here: String =
        here.lines().filter(|line| !line.starts_with("Documentation=")).map(|line| format!("{line}\n")).collect();
    let path = folder.path().join("kaspector.service");
    std::fs::write(&path, here).unwrap();
    let verified = run("systemd-analyze", &["verify".as_ref(), "--man=no".as_ref(), path.as_os_str()]);
    let said = String::from_utf8(verified.stderr).unwrap();
    assert!(!said.contains("kaspector.service"), "{said}");
    // No program of a package that this one does not depend on: a shell is always there.
    let programs = unit.lines().filter_map(|line| line.strip_prefix("Exec")?.split_once('=')?.1.split(' ').next());
    assert!(programs.eq(["/usr/bin/kaspector", "/bin/sh"]), "{unit}");
    // Exposure of 10 is open; below 2.5 nothing is left that a sensor can do without. The threshold is in tenths.
    run(
        "systemd-analyze",
        &[
            "security".as_ref(),
            "--offline=true".as_ref(),
            "--threshold=25".as_ref(),
            "--no-pager".as_ref(),
            path.as_os_str(),
        ],
    );
}

#[test]
fn pages_and_completions_come_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    run(example::built("manual"), &[folder.path().as_os_str()]);
    let help = text(run(env!("CARGO_BIN_EXE_kaspector"), &["--help".as_ref()]));
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        // What goes on from the line above stands further in.
        .filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' '))?.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(commands.len() >= 2, "{help}");
    for command in &commands {
        let page = folder.path().join(format!("man/kaspector-{command}.1"));
        let page = std::fs::read_to_string(&page).unwrap_or_else(|error| panic!("{command}: {error}"));
        assert!(page.contains(".SH SYNOPSIS") && page.contains("kaspector(1)"), "{page}");
        // As man-pages(7) names them.
        for section in ["EXAMPLES", "EXIT STATUS", "FILES", "ENVIRONMENT"] {
            let heading = |line: &str| line.strip_prefix(".SH ").is_some_and(|name| name.trim_matches('"') == section);
            assert!(page.lines().any(heading), "{command}: {section}\n{page}");
        }
    }
    // What belongs to somebody else stays as it is, and nothing is written besides it.
    let other = tempfile::tempdir().unwrap();
    std::fs::create_dir(other.path().join("bash")).unwrap();
    std::fs::write(other.path().join("bash/kaspector"), "mine").unwrap();
    let refused = Command::new(example::built("manual")).arg(other.path()).output().unwrap();
    assert!(!refused.status.success(), "{refused:?}");
    assert_eq!(std::fs::read_to_string(other.path().join("bash/kaspector")).unwrap(), "mine");
    run(example::built("manual"), &[folder.path().as_os_str()]);
    if has("man") {
        for page in files(&folder.path().join("man")) {
            let output = Command::new("man")
                .args(["--warnings", "-P", "cat", "-E", "UTF-8", "-l"])
                .arg(&page)
                .envs([("LC_ALL", "C.UTF-8"), ("MANWIDTH", "100")])
                .output()
                .unwrap();
            assert!(output.status.success() && output.stderr.is_empty(), "{}: {output:?}", page.display());
            assert!(output.stdout.len() > 400, "{}", page.display());
        }
    }
    let completed = format!(
        "source '{}' && complete -p kaspector && COMP_WORDS=(kaspector '') COMP_CWORD=1 && _kaspector kaspector '' kaspector && echo \"${{COMPREPLY[@]}}\"",
        folder.path().join("bash/kaspector").display()
    );
    let offered = text(run("bash", &["--norc".as_ref(), "-c".as_ref(), completed.as_ref()]));
    for command in &commands {
        assert!(offered.contains(command), "bash does not offer {command}: {offered}");
    }
    for (words, expected) in [
        ("scan --format", "table"),
        ("scan --fail-on", "suspected"),
        ("watch --log-level", "debug"),
        ("watch --capture", "afpacket"),
        ("watch --interface", ""),
        ("watch --workers", "4"),
        ("scan --threads", ""),
        ("scan --filter", ""),
        ("hosts --since", ""),
        ("signatures show", ""),
        ("scan --eve", "Cargo.toml"),
        ("watch --config", "Cargo.toml"),
    ] {
        let script = format!(
            "source '{}' && cd '{}' && COMP_WORDS=(kaspector {words} '') && COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)) && \
            _kaspector kaspector '' \"${{COMP_WORDS[COMP_CWORD-1]}}\" && echo \"${{COMPREPLY[@]}}\"",
            folder.path().join("bash/kaspector").display(),
            root().display(),
        );
        let offered = text(run("bash", &["--norc".as_ref(), "-c".as_ref(), script.as_ref()]));
        assert!(offered.contains(expected), "{words}: {offered}");
        assert_eq!(offered.contains("Cargo.toml"), expected == "Cargo.toml", "{words}: {offered}");
    }
    if has("zsh") {
        run("zsh", &["-n".as_ref(), folder.path().join("zsh/_kaspector").as_os_str()]);
    }
    if has("fish") {
        run("fish", &["--no-execute".as_ref(), folder.path().join("fish/kaspector.fish").as_os_str()]);
    }
}

/// What the container holds is enough to run the program, and no more.
#[test]
fn the_containers_root_suffices() {
    if !has("chroot") || !has("ldd") {
        return;
    }
    if !rustix::process::geteuid().is_root() {
        return skip("needs root, for chroot");
    }
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("root");
    run(root().join("packaging/rootfs"), &[env!("CARGO_BIN_EXE_kaspector").as_ref(), target.as_os_str()]);
    let answer = text(run(
        "chroot",
        &[
            "--userspec=65532:65532".as_ref(),
            target.as_os_str(),
            "/usr/bin/kaspector".as_ref(),
            "signatures".as_ref(),
            "test".as_ref(),
            "s07.upd.kaspersky.com".as_ref(),
        ],
    ));
    assert!(answer.contains("KL-"), "{answer}");
    let programs: Vec<PathBuf> =
        files(&target).into_iter().filter(|path| path.parent().unwrap().ends_with("bin")).collect();
    assert_eq!(programs, [target.join("usr/bin/kaspector")], "no shell, and nothing else to run");
}

#[test]
fn the_bill_of_materials_is_whole() {
    if !has("python3") {
        return;
    }
    let bill: serde_json::Value = serde_json::from_str(&text(run(root().join("packaging/sbom"), &[]))).unwrap();
    assert_eq!((bill["bomFormat"].as_str(), bill["specVersion"].as_str()), (Some("CycloneDX"), Some("1.5")));
    let components = bill["components"].as_array().unwrap();
    let names: Vec<&str> = components.iter().map(|component| component["name"].as_str().unwrap()).collect();
    // Linked, also by way of others and with the features of a release; what only tests use is not.
    for (name, is_linked) in [
        ("serde", true),
        ("memchr", true),
        ("rdkafka", true),
        ("pcap", true),
        ("criterion", false),
        ("proptest", false),
    ] {
        assert_eq!(names.contains(&name), is_linked, "{name}");
    }
    let known: Vec<&str> = components.iter().map(|component| component["bom-ref"].as_str().unwrap()).collect();
    for entry in bill["dependencies"].as_array().unwrap() {
        for other in entry["dependsOn"].as_array().unwrap() {
            assert!(known.contains(&other.as_str().unwrap()), "{other} is named and not described");
        }
    }
    assert!(components.iter().all(|component| component["licenses"][0]["expression"].is_string()));
}
