//! Line protocols that turn into TLS: SMTP, IMAP, POP3 and FTP.
