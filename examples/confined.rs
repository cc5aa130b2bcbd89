//! Shows what the sensor can still do after it gave up its privileges and entered its sandbox.
//!
//! `confined [OPTION | STEP]...` carries out its arguments in order and prints a line for each; a step that fails does not end it.
//! Options before `drop` and `sandbox` say what these keep. For example, as root:
//!
//! ```text
//! confined --write /tmp/x drop nobody sandbox on  read /etc/passwd  append /tmp/x/log  execute /bin/true
//! ```

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("Linux alone has these privileges and this sandbox");
}

#[cfg(target_os = "linux")]
fn main() {
    linux::main();
}

#[cfg(target_os = "linux")]
mod linux {
    use kaspector_cli::sandbox::{Privileges, Sandbox, SandboxMode};
    use std::error::Error;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
    use std::os::unix::process::CommandExt;
    use std::process::Command;
    use std::time::Duration;

    type Answer = Result<String, Box<dyn Error>>;

    pub fn main() {
        let mut arguments = std::env::args().skip(1);
        let mut privileges = Privileges::default();
        let mut sandbox = Sandbox::default();
        while let Some(word) = arguments.next() {
            let mut next = || arguments.next().unwrap_or_default();
            match word.as_str() {
                "--keep-net-raw" => privileges.keep_net_raw = true,
                "--read" => sandbox.read.push(next().into()),
                "--write" => {
                    let path = std::path::PathBuf::from(next());
                    sandbox.write.push(path.clone());
                    privileges.writes.push(path);
                }
                "--connect" => sandbox.connect.get_or_insert_default().extend(next().parse::<u16>()),
                "--listen" => sandbox.listen.extend(next().parse::<u16>()),
                step => {
                    let argument = match step {
                        "fork" | "thread" | "clock" | "idle-threads" | "root" | "code" | "packet" => String::new(),
                        _ => next(),
                    };
                    // One line, whatever the answer is: it is read by tests.
                    match take(step, &argument, &mut privileges, &sandbox) {
                        Ok(answer) => println!("{step} {argument}: ok {answer}"),
                        Err(error) => println!("{step} {argument}: {error}"),
                    }
                }
            }
        }
    }

    fn take(step: &str, argument: &str, privileges: &mut Privileges, sandbox: &Sandbox) -> Answer {
        let nothing = || Ok(String::new());
        match step {
            "drop" => {
                privileges.user = (argument != "-").then(|| argument.to_owned());
                Ok(privileges.give_up()?.to_string())
            }
            "sandbox" => {
                let mode = match argument {
                    "on" => SandboxMode::On,
                    "auto" => SandboxMode::Auto,
                    _ => SandboxMode::Off,
                };
                Ok(sandbox.enter(mode)?.to_string())
            }
            "read" => Ok(std::fs::read(argument)?.len().to_string()),
            "list" => Ok(std::fs::read_dir(argument)?.count().to_string()),
            "append" => {
                let mut file = std::fs::OpenOptions::new().append(true).create(true).open(argument)?;
                file.write_all(b"line\n")?;
                file.sync_all()?;
                nothing()
            }
            "rotate" => {
                std::fs::rename(argument, format!("{argument}.1"))?;
                std::fs::write(argument, "")?;
                std::fs::remove_file(format!("{argument}.1"))?;
                nothing()
            }
            "sqlite" => sqlite(argument),
            "resolve" => Ok((argument, 0).to_socket_addrs()?.map(|address| address.ip().to_string()).collect()),
            "connect" => {
                TcpStream::connect(argument)?.write_all(b"hello")?;
                nothing()
            }
            "accept" => {
                // A whole page's work: listen, connect, read.
                let listener = TcpListener::bind(argument)?;
                let mut client = TcpStream::connect(listener.local_addr()?)?;
                client.write_all(b"hello")?;
                let (server, _) = listener.accept()?;
                server.set_read_timeout(Some(Duration::from_secs(5)))?;
                let mut bytes = [0; 5];
                std::io::Read::read_exact(&mut &server, &mut bytes)?;
                nothing()
            }
            "datagram" => {
                UdpSocket::bind("127.0.0.1:0")?.send_to(b"hello", argument)?;
                nothing()
            }
            "unix" => {
                std::os::unix::net::UnixStream::connect(argument)?.write_all(b"hello")?;
                nothing()
            }
            "thread" => std::thread::Builder::new()
                .name("worker".into())
                .spawn(|| "ran".to_owned())?
                .join()
                .map_err(|_| "panicked".into()),
            "idle-threads" => {
                for _ in 0..3 {
                    std::thread::spawn(|| std::thread::sleep(Duration::from_secs(60)));
                }
                nothing()
            }
            "runtime" => runtime(argument),
            "clock" => Ok(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs().to_string()),
            // The standard library makes a process first.
            "fork" => Ok(Command::new("/bin/true").status()?.to_string()),
            // Without a process in between.
            "execute" => Err(Command::new(argument).exec().into()),
            "root" => {
                nix::unistd::setuid(nix::unistd::Uid::from_raw(0))?;
                nothing()
            }
            "packet" => {
                use rustix::net::{AddressFamily, SocketType, socket};
                drop(socket(AddressFamily::PACKET, SocketType::RAW, None)?);
                nothing()
            }
            "family" => {
                use rustix::net::{AddressFamily, SocketType, socket};
                drop(socket(AddressFamily::from_raw(argument.parse()?), SocketType::RAW, None)?);
                nothing()
            }
            "code" => code(),
            "signal" => {
                let process = rustix::process::Pid::from_raw(argument.parse()?).ok_or("no process")?;
                rustix::process::test_kill_process(process)?;
                nothing()
            }
            "status" => {
                let status = std::fs::read_to_string("/proc/self/status")?;
                let line = status.lines().find_map(|line| line.strip_prefix(argument)?.strip_prefix(':'));
                Ok(line.unwrap_or_default().trim().to_owned())
            }
            other => Err(format!("no step {other}").into()),
        }
    }

    /// What the state file does: a journal beside the database, a checkpoint, a second opening.
    fn sqlite(path: &str) -> Answer {
        let open = || -> rusqlite::Result<rusqlite::Connection> {
            let connection = rusqlite::Connection::open(path)?;
            connection.pragma_update(None, "journal_mode", "wal")?;
            connection.pragma_update(None, "synchronous", "full")?;
            Ok(connection)
        };
        let mut writer = open()?;
        let work = writer.transaction()?;
        work.execute_batch("create table if not exists host (name text); insert into host values ('a');")?;
        work.commit()?;
        writer.execute_batch("pragma wal_checkpoint(truncate); vacuum;")?;
        let count: i64 = open()?.query_row("select count(*) from host", [], |row| row.get(0))?;
        Ok(count.to_string())
    }

    /// The control plane's threads, timers and signals, with a name lookup on one of them.
    fn runtime(name: &str) -> Answer {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(async {
            let _hangup = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?;
            tokio::time::sleep(Duration::from_millis(1)).await;
            let found = tokio::net::lookup_host((name, 0)).await?.count();
            Ok(found.to_string())
        })
    }

    /// Memory that can be run, as injected code would want it.
    #[allow(unsafe_code)]
    fn code() -> Answer {
        use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
        let access = ProtFlags::READ | ProtFlags::WRITE | ProtFlags::EXEC;
        // SAFETY: a new mapping at a place of the kernel's choice, which nobody touches.
        unsafe { mmap_anonymous(std::ptr::null_mut(), 4096, access, MapFlags::PRIVATE)? };
        Ok(String::new())
    }
}
