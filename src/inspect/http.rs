//! HTTP/1 request heads (RFC 9112).
