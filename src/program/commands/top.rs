//! `kaspector top`.

use super::{Exit, Usage, of_stdout, say};
use crate::cli::TopArguments;
#[cfg(target_os = "linux")]
use crate::top::OwnSensor;
use crate::top::{Sensor, follow, once};
use crate::web::Token;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

/// Columns where no terminal says how many there are.
const COLUMNS: u16 = 120;

/// Shows a sensor.
pub fn top(arguments: &TopArguments) -> anyhow::Result<Exit> {
    #[cfg(target_os = "linux")]
    if !arguments.interfaces.is_empty() {
        return own(arguments);
    }
    let token = match &arguments.http_token_file {
        // What is no token is said here, not by the sensor's refusal.
        Some(path) => Some(Token::read(path).map_err(|error| Usage(error.to_string()))?),
        None => None,
    };
    show(&Sensor { address: address(&arguments.http)?, token }, arguments, Duration::ZERO)?;
    Ok(Exit::Ran)
}

/// Starts a sensor, and shows it for as long as both run.
#[cfg(target_os = "linux")]
fn own(arguments: &TopArguments) -> anyhow::Result<Exit> {
    let mut own = OwnSensor::start(arguments.interfaces.iter().map(|interface| interface.0.clone()))?;
    let interval = Duration::from_secs(arguments.interval.into());
    let shown = own.listening()?.map(|sensor| show(&sensor, arguments, interval));
    let (said, ended) = own.end()?;
    said.iter().for_each(say);
    // That it could not be asked any more follows from that.
    match ended.map(|status| status.code()) {
        Some(Some(2)) => return Ok(Exit::Usage),
        Some(Some(4)) => return Ok(Exit::Unreadable),
        Some(_) => return Ok(Exit::Failure),
        None => {}
    }
    shown.transpose()?;
    Ok(Exit::Ran)
}

/// Draws the sensor until somebody has seen enough; or prints it once, after this time.
fn show(sensor: &Sensor, arguments: &TopArguments, after: Duration) -> anyhow::Result<()> {
    if !arguments.once && io::stdout().is_terminal() {
        return follow(sensor, Duration::from_secs(arguments.interval.into()));
    }
    std::thread::sleep(after);
    let width = terminal_size::terminal_size().map_or(COLUMNS, |(width, _)| width.0);
    let mut text = Vec::new();
    once(sensor, &mut text, width)?;
    io::stdout().write_all(&text).map_err(of_stdout)
}

/// `ADDRESS:PORT`, also out of `http://ADDRESS:PORT/`.
fn address(text: &str) -> Result<String, Usage> {
    if text.starts_with("https://") {
        return Err(Usage(format!(
            "--http {text}: a sensor speaks plain HTTP; reach it where it listens, or through a tunnel such as ssh -L"
        )));
    }
    let address = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
    let has_port = address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if has_port { Ok(address.to_owned()) } else { Err(Usage(format!("--http {text}: expected ADDRESS:PORT"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_port_and_no_tls() {
        let address = |text: &str| address(text).map_err(|Usage(error)| error);
        assert_eq!(address("127.0.0.1:9317").as_deref(), Ok("127.0.0.1:9317"));
        assert_eq!(address("http://[::1]:9317/").as_deref(), Ok("[::1]:9317"));
        assert!(address("https://s:443").is_err_and(|error| error.contains("ssh -L")));
        assert!(address("sensor").is_err_and(|error| error.contains("ADDRESS:PORT")));
        assert!(address(":9317").is_err());
    }
}
