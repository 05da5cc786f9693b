//! The grammar, every row of the negotiation, and every answer that a client must not take.

use super::*;
use crate::proto::{Role, handshake::*};

fn parse(value: &str) -> Result<Extensions, ExtensionsError> {
    Extensions::parse([value])
}

#[test]
fn the_grammar_of_section_9_1() {
    for (value, expected) in [
        ("", ""),
        (" , ,", ""),
        ("foo", "foo"),
        ("foo, bar; baz=2", "foo, bar; baz=2"),
        ("foo;bar", "foo; bar"),
        ("\tfoo ;\tbar = 1 ; baz , x", "foo; bar=1; baz, x"),
        ("deflate-stream; a=\"b\"; c", "deflate-stream; a=b; c"),
        (r#"a; b="c\d\"#.to_owned().as_str(), "!"),
        (r#"a; b="1\5""#, "a; b=15"),
        ("a; b=\"c,d\"", "!"),
        ("a; b=\"\"", "!"),
        ("a; b=\"c", "!"),
        ("a;", "!"),
        ("a; b=", "!"),
        ("a; =b", "!"),
        (";a", "!"),
        ("a b", "!"),
        ("a; b c", "!"),
        ("a; b=\"c\"d", "!"),
        ("ä", "!"),
        ("a; b=ä", "!"),
        ("a; b=\"ä\"", "!"),
    ] {
        match parse(value) {
            Ok(read) => {
                assert_eq!(read.to_string(), expected, "{value:?}");
                assert_eq!(parse(&read.to_string()), Ok(read), "{value:?}");
            }
            Err(error) => assert_eq!(expected, "!", "{error}"),
        }
    }
    let error = parse("a; b=c d").unwrap_err();
    let says = "expected a comma, a semicolon or the end at byte 7 of \"a; b=c d\"";
    assert_eq!(error.to_string(), format!("header Sec-WebSocket-Extensions is malformed: {says}"));
    let several = Extensions::parse(["a, b; x", "", "c"]).unwrap();
    assert_eq!(several.to_string(), "a, b; x, c");
}

fn config(server_no: bool, client_no: bool, server_bits: u8, client_bits: u8) -> DeflateConfig {
    DeflateConfig {
        server_no_context_takeover: server_no,
        client_no_context_takeover: client_no,
        server_max_window_bits: server_bits,
        client_max_window_bits: client_bits,
        ..DeflateConfig::for_role(Role::Server)
    }
}

const OPEN: (bool, bool, u8, u8) = (false, false, 15, 15);

fn of((server_no, client_no, server_bits, client_bits): (bool, bool, u8, u8)) -> DeflateConfig {
    config(server_no, client_no, server_bits, client_bits)
}

#[test]
fn what_a_client_offers() {
    for (asked, expected) in [
        (OPEN, "permessage-deflate; client_max_window_bits"),
        ((false, false, 15, 12), "permessage-deflate; client_max_window_bits=12"),
        (
            (true, false, 8, 15),
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=8; client_max_window_bits",
        ),
        (
            (true, true, 9, 10),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9; \
             client_max_window_bits=10",
        ),
    ] {
        assert_eq!(offer(&of(asked)).to_string(), expected);
    }
}

#[test]
fn what_a_server_chooses() {
    let name = "permessage-deflate";
    for (own, offers, expected) in [
        (OPEN, "permessage-deflate", Some("")),
        (OPEN, "permessage-deflate; client_max_window_bits", Some("")),
        (OPEN, "permessage-deflate; client_max_window_bits=10", Some("; client_max_window_bits=10")),
        (OPEN, "permessage-deflate; server_max_window_bits=8", Some("; server_max_window_bits=8")),
        (OPEN, "permessage-deflate; server_max_window_bits=\"15\"", Some("; server_max_window_bits=15")),
        (OPEN, "permessage-deflate; server_no_context_takeover", Some("; server_no_context_takeover")),
        (OPEN, "permessage-deflate; client_no_context_takeover", Some("; client_no_context_takeover")),
        // Its own limits, as far as the client understands them.
        ((false, false, 12, 12), "permessage-deflate", Some("; server_max_window_bits=12")),
        (
            (false, false, 12, 12),
            "permessage-deflate; client_max_window_bits",
            Some("; server_max_window_bits=12; client_max_window_bits=12"),
        ),
        (
            (false, false, 12, 12),
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits=14",
            Some("; server_max_window_bits=10; client_max_window_bits=12"),
        ),
        ((true, true, 15, 15), "permessage-deflate", Some("; server_no_context_takeover; client_no_context_takeover")),
        // The first that can be accepted.
        (
            OPEN,
            "x-other, permessage-deflate; x=1, permessage-deflate; server_max_window_bits=9, permessage-deflate",
            Some("; server_max_window_bits=9"),
        ),
        // Declined.
        (OPEN, "", None),
        (OPEN, "x-webkit-deflate-frame, permessage-deflate2, Permessage-Deflate", None),
        (OPEN, "permessage-deflate; unknown", None),
        (OPEN, "permessage-deflate; server_no_context_takeover=1", None),
        (OPEN, "permessage-deflate; server_no_context_takeover; server_no_context_takeover", None),
        (OPEN, "permessage-deflate; client_no_context_takeover; client_no_context_takeover", None),
        (OPEN, "permessage-deflate; client_max_window_bits; client_max_window_bits=9", None),
        (OPEN, "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9", None),
        (OPEN, "permessage-deflate; server_max_window_bits", None),
        (OPEN, "permessage-deflate; server_max_window_bits=7", None),
        (OPEN, "permessage-deflate; server_max_window_bits=16", None),
        (OPEN, "permessage-deflate; server_max_window_bits=010", None),
        (OPEN, "permessage-deflate; server_max_window_bits=+9", None),
        (OPEN, "permessage-deflate; client_max_window_bits=256", None),
        (OPEN, "permessage-deflate; client_max_window_bits=a", None),
    ] {
        let chosen = choose(&parse(offers).unwrap(), &of(own)).map(|chosen| chosen.to_string());
        assert_eq!(chosen, expected.map(|params| format!("{name}{params}")), "{offers}");
    }
}

#[test]
fn what_a_client_takes_and_what_it_must_not() {
    for (asked, response, expected) in [
        (OPEN, "", Ok(None)),
        (OPEN, "permessage-deflate", Ok(Some((false, false, None, None)))),
        (OPEN, "permessage-deflate; server_max_window_bits=10", Ok(Some((false, false, Some(10), None)))),
        (OPEN, "permessage-deflate; client_max_window_bits=8", Ok(Some((false, false, None, Some(8))))),
        (
            OPEN,
            "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
            Ok(Some((true, true, None, None))),
        ),
        ((false, true, 15, 10), "permessage-deflate", Ok(Some((false, false, None, None)))),
        (
            (false, false, 10, 15),
            "permessage-deflate; server_max_window_bits=9",
            Ok(Some((false, false, Some(9), None))),
        ),
        (OPEN, "x-other", Err("x-other was not offered")),
        (OPEN, "permessage-deflate, permessage-deflate", Err("permessage-deflate is given more than once")),
        (OPEN, "permessage-deflate, x-other", Err("x-other was not offered")),
        (OPEN, "permessage-deflate; x", Err("unknown parameter x")),
        (
            OPEN,
            "permessage-deflate; client_max_window_bits",
            Err("client_max_window_bits is without a value; expected 8 to 15"),
        ),
        (OPEN, "permessage-deflate; client_max_window_bits=7", Err("client_max_window_bits is 7; expected 8 to 15")),
        (OPEN, "permessage-deflate; server_max_window_bits=16", Err("server_max_window_bits is 16; expected 8 to 15")),
        (
            OPEN,
            "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9",
            Err("server_max_window_bits is given more than once"),
        ),
        (
            OPEN,
            "permessage-deflate; server_no_context_takeover=yes",
            Err("server_no_context_takeover is yes; expected no value"),
        ),
        ((true, false, 15, 15), "permessage-deflate", Err("server_no_context_takeover is missing")),
        (
            (false, false, 10, 15),
            "permessage-deflate",
            Err("server_max_window_bits is missing; expected at most the 10 offered"),
        ),
        (
            (false, false, 10, 15),
            "permessage-deflate; server_max_window_bits=11",
            Err("server_max_window_bits is 11; expected at most the 10 offered"),
        ),
        (
            (false, false, 15, 12),
            "permessage-deflate; client_max_window_bits=13",
            Err("client_max_window_bits is 13; expected at most the 12 offered"),
        ),
    ] {
        let got = confirm(&parse(response).unwrap(), &of(asked)).map(|agreed| {
            agreed.map(|a| {
                (
                    a.server_no_context_takeover,
                    a.client_no_context_takeover,
                    a.server_max_window_bits,
                    a.client_max_window_bits,
                )
            })
        });
        assert_eq!(got, expected.map_err(str::to_owned), "{response}");
    }
}

/// A handshake between a client and a server that want this; the bytes of both.
fn shake(
    client: Option<DeflateConfig>,
    server: Option<DeflateConfig>,
) -> (String, String, Accepted, Option<Negotiated>) {
    let request = ClientRequest { host: "h".into(), path_and_query: "/".into(), deflate: client, ..Default::default() };
    let (bytes, key) = request.encode().unwrap();
    let received = RequestParser::new(HandshakeLimits::default()).feed(&bytes).unwrap().unwrap();
    let (answer, agreed) = received.accept_with(None, server.as_ref(), &[]).unwrap();
    let mut parser = ResponseParser::new(&key, &[]).with_deflate(client);
    let accepted = parser.feed(&answer).unwrap().unwrap();
    (String::from_utf8(bytes).unwrap(), String::from_utf8(answer).unwrap(), accepted, agreed)
}

#[test]
fn both_sides_of_a_handshake_agree() {
    for client in [OPEN, (true, false, 15, 12), (false, true, 8, 8), (true, true, 12, 9)].map(of) {
        for server in [OPEN, (true, false, 15, 15), (false, false, 12, 12), (false, true, 8, 8)].map(of) {
            let (request, response, accepted, agreed) = shake(Some(client), Some(server));
            let agreed = agreed.unwrap();
            assert_eq!(accepted.deflate, Some(Negotiated { config: client, ..agreed }));
            assert!(request.contains(&format!("\r\nSec-WebSocket-Extensions: {}\r\n", offer(&client))), "{request}");
            assert!(response.contains(&format!("\r\nSec-WebSocket-Extensions: {agreed}\r\n")), "{response}");
        }
    }
    for (client, server) in [(None, None), (Some(of(OPEN)), None), (None, Some(of(OPEN)))] {
        let (request, response, accepted, agreed) = shake(client, server);
        assert_eq!((accepted.deflate, agreed), (None, None));
        assert_eq!(request.contains("Extensions"), client.is_some());
        assert!(!response.contains("Extensions"), "{response}");
    }
}

#[test]
fn bad_values_of_our_own_are_not_sent() {
    let bad = DeflateConfig { client_max_window_bits: 16, ..of(OPEN) };
    let request =
        ClientRequest { host: "h".into(), path_and_query: "/".into(), deflate: Some(bad), ..Default::default() };
    let says = "compression: client_max_window_bits is 16; expected 8 to 15";
    assert_eq!(request.encode().unwrap_err().to_string(), says);
    let (bytes, _) = ClientRequest { deflate: None, ..request }.encode().unwrap();
    let received = RequestParser::new(HandshakeLimits::default()).feed(&bytes).unwrap().unwrap();
    assert_eq!(received.accept_with(None, Some(&bad), &[]).unwrap_err().to_string(), says);
}

#[test]
fn a_malformed_header_ends_the_handshake() {
    let good = ClientRequest { host: "h".into(), path_and_query: "/".into(), ..Default::default() };
    let (bytes, key) = good.encode().unwrap();
    let with = |head: &[u8]| {
        let head = std::str::from_utf8(head).unwrap().trim_end();
        format!("{head}\r\nSec-WebSocket-Extensions: permessage-deflate; =1\r\n\r\n")
    };
    let rejected = RequestParser::new(HandshakeLimits::default()).feed(with(&bytes).as_bytes()).unwrap_err();
    assert_eq!(rejected.status, 400);
    assert!(rejected.reason.contains("the name of a parameter at byte 20"), "{rejected}");
    let received = RequestParser::new(HandshakeLimits::default()).feed(&bytes).unwrap().unwrap();
    let answer = with(&received.accept(None, &[]).unwrap());
    let failed = ResponseParser::new(&key, &[]).with_deflate(Some(of(OPEN))).feed(answer.as_bytes());
    assert!(matches!(failed, Err(HandshakeError::Extensions(_))), "{failed:?}");
    // An answer that can be read, but must not be.
    let answer = answer.replace("=1", "x");
    let failed = ResponseParser::new(&key, &[]).with_deflate(Some(of(OPEN))).feed(answer.as_bytes()).unwrap_err();
    assert_eq!(
        failed.to_string(),
        "server answered the offer \"permessage-deflate; client_max_window_bits\" with the extensions \
         \"permessage-deflate; x\": unknown parameter x"
    );
}
