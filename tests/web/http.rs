//! One HTTP exchange over a plain socket, so that a test sees what travels.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// Sends `head` lines (the request line first) and `body`, and reads the answer.
pub fn exchange(address: SocketAddr, head: &[&str], body: &str) -> Answer {
    let mut stream = connect(address);
    let mut request = head.join("\r\n");
    if !body.is_empty() {
        request.push_str(&format!("\r\nContent-Type: application/json\r\nContent-Length: {}", body.len()));
    }
    stream.write_all(format!("{request}\r\n\r\n{body}").as_bytes()).unwrap();
    read(&mut stream, head[0].starts_with("HEAD "))
}

pub fn read(stream: &mut TcpStream, has_no_body: bool) -> Answer {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        // Unlike a single read, this goes on where a signal interrupted it.
        let read = stream.read_exact(&mut byte);
        read.unwrap_or_else(|error| panic!("{error}: the answer ended: {:?}", String::from_utf8_lossy(&bytes)));
        bytes.push(byte[0]);
    }
    let head = String::from_utf8(bytes).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut answer = Answer { status, head, body: String::new() };
    let length = answer.header("content-length").map_or(0, |text| text.parse().unwrap());
    if !has_no_body {
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        answer.body = String::from_utf8(body).unwrap();
    }
    answer
}
