//! SOCKS 4, 4a and 5 (RFC 1928) requests, and where the tunnel behind them begins.
