//! One HTTP request over a socket of its own, byte for byte as a file of exchanges says.

use std::{
    fmt::Write as _,
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is sent. The default is what JSON-RPC clients send.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: &'a [u8],
}

impl<'a> Request<'a> {
    /// A JSON-RPC call.
    pub(crate) fn json(body: &'a [u8]) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self { method: "POST", path: "/", headers, body }
    }
}

/// Status and body of the answer. `address` is `host:port`.
pub(crate) fn send(address: &str, request: &Request<'_>) -> Result<(u16, Vec<u8>), String> {
    let failed = |error: std::io::Error| format!("{address}: {error}");
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.path);
    let has_host = request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host"));
    if !has_host {
        let _ = write!(head, "host: {address}\r\n");
    }
    for (name, value) in &request.headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    let _ = write!(head, "content-length: {}\r\nconnection: close\r\n\r\n", request.body.len());
    let mut socket = TcpStream::connect(address).map_err(failed)?;
    socket.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    socket.write_all(head.as_bytes()).map_err(failed)?;
    // A server that refuses by the header may close before it has the body.
    let _ = socket.write_all(request.body);
    let mut answer = Vec::new();
    if let Err(error) = socket.read_to_end(&mut answer)
        && answer.is_empty()
    {
        return Err(failed(error));
    }
    parse(&answer).ok_or_else(|| format!("{address}: no HTTP answer"))
}

fn parse(answer: &[u8]) -> Option<(u16, Vec<u8>)> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(answer.get(..end)?).ok()?;
    let body = answer.get(end + 4..)?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    Some((status, if is_chunked { unchunk(body)? } else { body.to_vec() }))
}

fn unchunk(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    loop {
        let line = body.windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(body.get(..line)?).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(out);
        }
        let start = line + 2;
        out.extend_from_slice(body.get(start..start + size)?);
        body = body.get(start + size + 2..)?;
    }
}

/// The address in `http://host:port/`.
pub(crate) fn address_of(url: &str) -> Result<String, String> {
    let rest =
        url.strip_prefix("http://").ok_or_else(|| format!("{url}: only http:// is known"))?;
    Ok(rest.split('/').next().unwrap_or(rest).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_whole_or_in_chunks() {
        let plain = b"HTTP/1.1 405 No\r\na: b\r\n\r\nno";
        assert_eq!(parse(plain), Some((405, b"no".to_vec())));
        let chunked =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n";
        assert_eq!(parse(chunked), Some((200, b"abcd".to_vec())));
        assert_eq!(parse(b"HTTP/1.1 200"), None);
    }
}
