//! The binary; what it does is [`kaspector_cli::commands`].

mod memory;

fn main() -> std::process::ExitCode {
    kaspector_cli::commands::main()
}
