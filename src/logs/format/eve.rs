//! Suricata's EVE log (<https://docs.suricata.io/en/latest/output/eve/eve-json-format.html>): dns, tls, quic, http, ftp, alert and flow
//! records of Suricata 4 to 8.

use super::Emit;
use crate::reader::Malformed;

pub fn parse(line: &[u8], emit: &mut Emit<'_>) -> Result<(), Malformed> {
    match serde_json::from_slice(line) {
        Ok(record) => emit(&record),
        Err(error) => Err(Malformed::Json(error.to_string().into())),
    }
}
