//! The client's side of SOCKS 4, 4a and 5 (RFC 1928, RFC 1929): bytes in, bytes out. Names are resolved by the
//! proxy or were resolved before, never here.

use std::net::IpAddr;

use crate::proto::Host;

/// Which SOCKS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::net) enum SocksVersion {
    /// IPv4 addresses only, resolved by us.
    V4,
    /// Names are resolved by the proxy.
    V4a,
    /// Names are resolved by us.
    V5,
    /// Names are resolved by the proxy.
    V5h,
}

/// Why a SOCKS proxy did not connect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SocksError {
    /// The first byte of an answer is not the protocol's.
    #[error("it does not speak {expected}: its answer begins with byte {found:#04x}{}", socks_hint(*.found))]
    Version {
        /// What we speak.
        expected: &'static str,
        /// What came.
        found: u8,
    },
    /// None of the ways to authenticate suits it.
    #[error("it accepts none of our ways to authenticate ({offered})")]
    Methods {
        /// What we offered.
        offered: &'static str,
    },
    /// It chose a way to authenticate that was not offered.
    #[error("it chose way {0} to authenticate, which was not offered")]
    Method(u8),
    /// User and password are wrong.
    #[error("it does not accept user and password of its URL (status {0})")]
    Credentials(u8),
    /// It could not or would not connect.
    #[error("it refused to connect: {meaning} (code {code})")]
    Refused {
        /// Its code.
        code: u8,
        /// What that means.
        meaning: &'static str,
    },
    /// An answer with an address of no known kind.
    #[error("its answer has an address of the unknown type {0}")]
    AddressType(u8),
    /// The name is too long.
    #[error("SOCKS takes names of up to 255 bytes; this one has {0}")]
    Name(usize),
    /// The address cannot be written.
    #[error("SOCKS4 knows IPv4 only, the server's address is {0}")]
    Ipv6(IpAddr),
    /// Bytes behind the last answer.
    #[error("it sent {0} bytes behind its answer, before there was anything to answer to")]
    Early(usize),
    /// It hung up.
    #[error("it closed the connection after {0} bytes of its answer")]
    Closed(usize),
}

fn socks_hint(found: u8) -> &'static str {
    if found == b'H' { " ('H': is it an HTTP proxy?)" } else { "" }
}

/// What to do after feeding an answer.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::net) enum SocksReply {
    /// More bytes are needed.
    More,
    /// Send this.
    Send(Vec<u8>),
    /// It is connected.
    Open,
}

/// One dialogue.
#[derive(Debug)]
pub(in crate::net) struct Socks {
    state: State,
    received: Vec<u8>,
    /// What is asked for once we are let in (SOCKS5).
    request: Vec<u8>,
    credentials: Option<(Vec<u8>, Vec<u8>)>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    V4,
    Method,
    Credentials,
    V5,
}

const NO_AUTHENTICATION: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const NO_METHOD: u8 = 0xff;

impl Socks {
    /// A dialogue that asks for a connection to `host`, and its first bytes.
    pub(in crate::net) fn new(
        version: SocksVersion,
        host: &Host,
        port: u16,
        credentials: Option<&(Vec<u8>, Vec<u8>)>,
    ) -> Result<(Self, Vec<u8>), SocksError> {
        let credentials = credentials.cloned();
        if matches!(version, SocksVersion::V4 | SocksVersion::V4a) {
            let user = credentials.map(|(user, _)| user).unwrap_or_default();
            let hello = request_v4(host, port, &user)?;
            return Ok((
                Self { state: State::V4, received: Vec::new(), request: Vec::new(), credentials: None },
                hello,
            ));
        }
        let request = request_v5(host, port)?;
        let hello = match credentials {
            None => vec![5, 1, NO_AUTHENTICATION],
            Some(_) => vec![5, 2, NO_AUTHENTICATION, USER_AND_PASSWORD],
        };
        Ok((Self { state: State::Method, received: Vec::new(), request, credentials }, hello))
    }

    /// Adds bytes read from the proxy.
    pub(in crate::net) fn feed(&mut self, bytes: &[u8]) -> Result<SocksReply, SocksError> {
        self.received.extend_from_slice(bytes);
        let (expected, first) = match self.state {
            State::V4 => ("SOCKS4", 0),
            State::Credentials => ("SOCKS5", 1),
            State::Method | State::V5 => ("SOCKS5", 5),
        };
        if let Some(found) = self.received.first().copied().filter(|found| *found != first) {
            return Err(SocksError::Version { expected, found });
        }
        match (self.state, self.received.as_slice()) {
            (State::V4, [_, 90, _, _, _, _, _, _, rest @ ..]) => open(rest),
            (State::V4, [_, code, ..]) if *code != 90 => Err(refused_v4(*code)),
            (State::Method, [_, method, rest @ ..]) => {
                let (method, early) = (*method, rest.len());
                self.chosen(method, early)
            }
            (State::Credentials, [_, 0, rest @ ..]) => {
                let early = rest.len();
                self.next(State::V5, self.request.clone(), early)
            }
            (State::Credentials, [_, status, ..]) => Err(SocksError::Credentials(*status)),
            (State::V5, [_, code, ..]) if *code != 0 => Err(refused_v5(*code)),
            (State::V5, [_, _, _, kind, after @ ..]) => {
                let length = match (kind, after) {
                    (1, _) => 4,
                    (4, _) => 16,
                    (3, [length, ..]) => 1 + usize::from(*length),
                    (3, []) => return Ok(SocksReply::More),
                    (other, _) => return Err(SocksError::AddressType(*other)),
                };
                // The bound address, and two bytes of a port.
                after.get(length + 2..).map_or(Ok(SocksReply::More), open)
            }
            _ => Ok(SocksReply::More),
        }
    }

    /// The connection ended: why there is none through the proxy.
    pub(in crate::net) fn eof(&self) -> SocksError {
        SocksError::Closed(self.received.len())
    }

    fn chosen(&mut self, method: u8, early: usize) -> Result<SocksReply, SocksError> {
        match (method, &self.credentials) {
            (NO_AUTHENTICATION, _) => self.next(State::V5, self.request.clone(), early),
            (USER_AND_PASSWORD, Some((user, password))) => {
                // Lengths were checked with the URL of the proxy.
                let mut login = vec![1, user.len() as u8];
                login.extend_from_slice(user);
                login.push(password.len() as u8);
                login.extend_from_slice(password);
                self.next(State::Credentials, login, early)
            }
            (NO_METHOD, None) => Err(SocksError::Methods { offered: "none; put user and password into its URL" }),
            (NO_METHOD, Some(_)) => Err(SocksError::Methods { offered: "none, or user and password" }),
            (other, _) => Err(SocksError::Method(other)),
        }
    }

    fn next(&mut self, state: State, send: Vec<u8>, early: usize) -> Result<SocksReply, SocksError> {
        if early > 0 {
            return Err(SocksError::Early(early));
        }
        self.state = state;
        self.received.clear();
        Ok(SocksReply::Send(send))
    }
}

fn open(rest: &[u8]) -> Result<SocksReply, SocksError> {
    if rest.is_empty() { Ok(SocksReply::Open) } else { Err(SocksError::Early(rest.len())) }
}

fn request_v4(host: &Host, port: u16, user: &[u8]) -> Result<Vec<u8>, SocksError> {
    let (address, name) = match host {
        Host::Ip(IpAddr::V4(address)) => (address.octets(), None),
        Host::Ip(address) => match address.to_canonical() {
            IpAddr::V4(address) => (address.octets(), None),
            IpAddr::V6(_) => return Err(SocksError::Ipv6(*address)),
        },
        // An address that cannot be: the name follows (SOCKS4a).
        Host::Name(name) => ([0, 0, 0, 1], Some(short(name)?)),
    };
    let mut request = vec![4, 1];
    request.extend_from_slice(&port.to_be_bytes());
    request.extend_from_slice(&address);
    request.extend_from_slice(user);
    request.push(0);
    if let Some(name) = name {
        request.extend_from_slice(name.as_bytes());
        request.push(0);
    }
    Ok(request)
}

fn request_v5(host: &Host, port: u16) -> Result<Vec<u8>, SocksError> {
    let mut request = vec![5, 1, 0];
    match host {
        Host::Ip(IpAddr::V4(address)) => {
            request.push(1);
            request.extend_from_slice(&address.octets());
        }
        Host::Ip(IpAddr::V6(address)) => {
            request.push(4);
            request.extend_from_slice(&address.octets());
        }
        Host::Name(name) => {
            let name = short(name)?;
            request.extend_from_slice(&[3, name.len() as u8]);
            request.extend_from_slice(name.as_bytes());
        }
    }
    request.extend_from_slice(&port.to_be_bytes());
    Ok(request)
}

fn short(name: &str) -> Result<&str, SocksError> {
    if name.len() > 255 { Err(SocksError::Name(name.len())) } else { Ok(name) }
}

/// RFC 1928 section 6.
fn refused_v5(code: u8) -> SocksError {
    let meaning = match code {
        1 => "general failure",
        2 => "its rules do not allow it",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "TTL expired",
        7 => "command not supported",
        8 => "address type not supported",
        _ => "a reason that RFC 1928 does not know",
    };
    SocksError::Refused { code, meaning }
}

fn refused_v4(code: u8) -> SocksError {
    let meaning = match code {
        91 => "rejected or failed",
        92 => "it cannot reach an identd on this machine",
        93 => "identd names another user",
        _ => "a reason that SOCKS4 does not know",
    };
    SocksError::Refused { code, meaning }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Credentials = Option<(Vec<u8>, Vec<u8>)>;

    fn name() -> Host {
        Host::Name("example.com".into())
    }

    fn login() -> (Vec<u8>, Vec<u8>) {
        (b"user".to_vec(), b"pw".to_vec())
    }

    /// Plays the proxy's answers, whole and byte by byte; the requests, and what came of it.
    fn play(
        version: SocksVersion,
        host: &Host,
        login: &Credentials,
        answers: &[&[u8]],
    ) -> Result<Vec<Vec<u8>>, SocksError> {
        let run = |step: usize| {
            let (mut socks, hello) = Socks::new(version, host, 443, login.as_ref())?;
            let mut sent = vec![hello];
            for answer in answers {
                for piece in answer.chunks(step) {
                    match socks.feed(piece)? {
                        SocksReply::More => {}
                        SocksReply::Send(bytes) => sent.push(bytes),
                        SocksReply::Open => return Ok(sent),
                    }
                }
            }
            Err(socks.eof())
        };
        let whole = run(usize::MAX);
        let bytewise = run(1);
        if !matches!(whole, Err(SocksError::Early(_))) {
            assert_eq!(whole, bytewise);
        }
        whole
    }

    #[test]
    fn socks5_with_and_without_a_password() {
        let granted = [5, 0, 0, 1, 1, 2, 3, 4, 0, 80];
        let sent = play(SocksVersion::V5h, &name(), &None, &[&[5, 0], &granted]).unwrap();
        assert_eq!(sent[0], [5, 1, 0]);
        assert_eq!(sent[1], [&[5, 1, 0, 3, 11], b"example.com".as_slice(), &[1, 187]].concat());
        let sent = play(SocksVersion::V5h, &name(), &Some(login()), &[&[5, 2], &[1, 0], &granted]).unwrap();
        assert_eq!(sent[0], [5, 2, 0, 2]);
        assert_eq!(sent[1], [&[1, 4], b"user".as_slice(), &[2], b"pw"].concat());
        assert_eq!(sent.len(), 3);
        // A proxy that asks for no password is not given one.
        assert_eq!(play(SocksVersion::V5h, &name(), &Some(login()), &[&[5, 0], &granted]).unwrap().len(), 2);
        let sent = play(SocksVersion::V5, &Host::Ip([1, 2, 3, 4].into()), &None, &[&[5, 0], &granted]).unwrap();
        assert_eq!(sent[1], [5, 1, 0, 1, 1, 2, 3, 4, 1, 187]);
        let v6 = Host::Ip("::1".parse().unwrap());
        assert_eq!(play(SocksVersion::V5, &v6, &None, &[&[5, 0], &granted]).unwrap()[1].len(), 22);
        for bound in
            [&[5, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 80][..], &[5, 0, 0, 3, 1, b'h', 0, 80]]
        {
            assert!(play(SocksVersion::V5h, &name(), &None, &[&[5, 0], bound]).is_ok());
        }
    }

    #[test]
    fn socks4_and_4a() {
        let granted = [0, 90, 0, 0, 0, 0, 0, 0];
        let user = Some((b"me".to_vec(), Vec::new()));
        let sent = play(SocksVersion::V4, &Host::Ip([1, 2, 3, 4].into()), &user, &[&granted]).unwrap();
        assert_eq!(sent, [[4, 1, 1, 187, 1, 2, 3, 4, b'm', b'e', 0]]);
        let sent = play(SocksVersion::V4a, &name(), &None, &[&granted]).unwrap();
        assert_eq!(sent[0], [&[4, 1, 1, 187, 0, 0, 0, 1, 0], b"example.com".as_slice(), &[0]].concat());
        let v6 = Host::Ip("::1".parse().unwrap());
        assert!(matches!(play(SocksVersion::V4a, &v6, &None, &[]), Err(SocksError::Ipv6(_))));
        let mapped = Host::Ip("::ffff:1.2.3.4".parse().unwrap());
        assert_eq!(play(SocksVersion::V4, &mapped, &None, &[&granted]).unwrap()[0][4..8], [1, 2, 3, 4]);
    }

    #[test]
    fn refusals_say_why() {
        let refusal = |version, login: &Credentials, answers: &[&[u8]]| {
            play(version, &name(), login, answers).unwrap_err().to_string()
        };
        let v5 = |answers: &[&[u8]]| refusal(SocksVersion::V5h, &None, answers);
        assert_eq!(v5(&[&[5, 0], &[5, 5, 0, 1]]), "it refused to connect: connection refused (code 5)");
        assert_eq!(v5(&[&[5, 0], &[5, 2]]), "it refused to connect: its rules do not allow it (code 2)");
        assert!(v5(&[&[5, 0xff]]).contains("put user and password into its URL"));
        assert!(v5(&[&[5, 2]]).contains("which was not offered"));
        assert!(v5(&[b"HTTP/1.1 400 Bad Request\r\n"]).contains("is it an HTTP proxy?"));
        assert!(v5(&[&[5, 0], &[5, 0, 0, 9]]).contains("unknown type 9"));
        assert!(v5(&[&[5, 0], &[5, 0, 0, 1, 1]]).contains("after 5 bytes"));
        assert!(v5(&[]).contains("after 0 bytes"));
        assert!(v5(&[&[5, 0, 5]]).contains("before there was anything"));
        assert!(v5(&[&[5, 0], &[5, 0, 0, 1, 1, 2, 3, 4, 0, 80, 7]]).contains("sent 1 bytes"));
        let wrong = refusal(SocksVersion::V5h, &Some(login()), &[&[5, 2], &[1, 1]]);
        assert_eq!(wrong, "it does not accept user and password of its URL (status 1)");
        assert!(refusal(SocksVersion::V5h, &Some(login()), &[&[5, 0xff]]).contains("none, or user and password"));
        let v4 = |answers: &[&[u8]]| refusal(SocksVersion::V4a, &None, answers);
        assert_eq!(v4(&[&[0, 91, 0, 0, 0, 0, 0, 0]]), "it refused to connect: rejected or failed (code 91)");
        assert!(v4(&[&[5, 0]]).contains("does not speak SOCKS4"));
        let long = Host::Name("x".repeat(256));
        for version in [SocksVersion::V4a, SocksVersion::V5h] {
            assert_eq!(Socks::new(version, &long, 1, None).unwrap_err(), SocksError::Name(256));
        }
    }

    proptest! {
        /// Whatever a proxy answers, in whatever pieces: no panic, the same end, and nothing is kept that could grow.
        #[test]
        fn any_answer_does_no_harm_however_it_is_cut(
            version in prop::sample::select(vec![SocksVersion::V4, SocksVersion::V4a, SocksVersion::V5, SocksVersion::V5h]),
            password: bool,
            start in prop::sample::select(vec![&b""[..], b"\x05\x00", b"\x05\x02", b"\x05\x02\x01\x00", b"\x05\x00\x05\x00\x00\x03", b"\x00\x5a"]),
            rest in prop::collection::vec(any::<u8>(), 0..300),
            cut in 1_usize..40,
        ) {
            let bytes = [start, &rest].concat();
            let host = if version == SocksVersion::V4 { Host::Ip([127, 0, 0, 1].into()) } else { name() };
            let credentials = (password && !matches!(version, SocksVersion::V4 | SocksVersion::V4a)).then(login);
            let end = |size: usize| {
                let (mut socks, _) = Socks::new(version, &host, 80, credentials.as_ref()).unwrap();
                let mut sent = Vec::new();
                for piece in bytes.chunks(size) {
                    match socks.feed(piece) {
                        Ok(SocksReply::More) => {}
                        Ok(SocksReply::Send(bytes)) => sent.push(bytes),
                        Ok(SocksReply::Open) => return (sent, None),
                        Err(error) => return (sent, Some(error)),
                    }
                    // The longest answer has a name of 255 bytes.
                    assert!(socks.received.len() <= 4 + 1 + 255 + 2);
                }
                (sent, Some(socks.eof()))
            };
            // What comes behind an answer is seen where it comes with it.
            let pieces = end(cut);
            if !matches!(pieces.1, Some(SocksError::Early(_))) {
                prop_assert_eq!(end(1), pieces);
            }
        }
    }
}
