//! Content codings: gzip and zstd, where they pay. Small bodies are sent as they are, for compressing costs more than
//! it saves; very large ones too, for they would hold a thread of the runtime for milliseconds.

use std::cell::RefCell;

use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, VARY};
use zstd::bulk::Compressor;

use super::respond::{self, Answer};
use super::settings::{COMPRESSED_BYTES_MAX, COMPRESSED_BYTES_MIN};

/// A coding.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Coding {
    /// zstd, for those who take it: it costs the least.
    Zstd,
    /// gzip, which everybody takes.
    Gzip,
}

/// How much time compressing may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effort {
    /// For an answer that is sent once.
    Once,
    /// For a file that is sent again and again.
    Kept,
}

impl Coding {
    const fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    const fn level(self, effort: Effort) -> i32 {
        match (self, effort) {
            (_, Effort::Once) => 1,
            (Self::Zstd, Effort::Kept) => 12,
            (Self::Gzip, Effort::Kept) => 9,
        }
    }
}

/// The coding that the client of these headers likes best; none: none of ours.
pub fn liked_best(headers: &HeaderMap) -> Option<Coding> {
    let mut weights = [None, None];
    let mut others = 0;
    for value in headers.get_all(ACCEPT_ENCODING) {
        for item in value.to_str().unwrap_or_default().split(',') {
            let (name, weight) = item.split_once(';').map_or((item, 1_000), |(name, rest)| (name, weight(rest)));
            match name.trim() {
                "*" => others = weight,
                name if name.eq_ignore_ascii_case("zstd") => weights[0] = Some(weight),
                name if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") => {
                    weights[1] = Some(weight);
                }
                _ => {}
            }
        }
    }
    let [zstd, gzip] = weights.map(|weight| weight.unwrap_or(others));
    match () {
        () if zstd > 0 && zstd >= gzip => Some(Coding::Zstd),
        () if gzip > 0 => Some(Coding::Gzip),
        () => None,
    }
}

/// A weight (`q=0.5`) in thousandths; 0 where it is malformed.
fn weight(parameter: &str) -> u32 {
    let parameter = parameter.trim();
    let digits = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q=")).unwrap_or_default();
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let good = fraction.len() <= 3 && fraction.bytes().all(|b| b.is_ascii_digit());
    match whole {
        "1" if good && fraction.bytes().all(|b| b == b'0') => 1_000,
        "0" if good => format!("{fraction:0<3}").parse().unwrap_or(0),
        _ => 0,
    }
}

/// Whether compressing pays for this answer, and nobody has decided about it yet. For a stream it never does: its
/// length is not known, and what is held back to be compressed would come late.
pub fn pays(answer: &Answer) -> bool {
    let headers = answer.headers();
    respond::length(answer).is_some_and(|length| (COMPRESSED_BYTES_MIN..=COMPRESSED_BYTES_MAX).contains(&length))
        && headers.get(CONTENT_TYPE).is_some_and(compresses)
        && !headers.contains_key(VARY)
}

/// The answer in this coding.
pub fn coded(answer: Answer, coding: Coding) -> Answer {
    let (mut parts, body) = answer.into_parts();
    mark(&mut parts.headers, coding);
    let coded = compressed(&respond::bytes_of(body), coding, Effort::Once);
    Answer::from_parts(parts, respond::whole(coded))
}

/// Says how the body is coded.
pub fn mark(headers: &mut HeaderMap, coding: Coding) {
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
}

/// Says that others get this answer in another coding.
pub fn varies(headers: &mut HeaderMap) {
    headers.append(VARY, HeaderValue::from_static("accept-encoding"));
}

/// Whether bodies of this type shrink.
pub fn compresses(content_type: &HeaderValue) -> bool {
    let kind = content_type.as_bytes().split(|&b| b == b';').next().unwrap_or_default().trim_ascii();
    matches!(
        kind,
        b"application/json"
            | b"application/problem+json"
            | b"text/html"
            | b"text/css"
            | b"text/javascript"
            | b"text/plain"
            | b"image/svg+xml"
    )
}

thread_local! {
    /// What zstd works with is some hundred kilobytes: made once a thread, not once an answer.
    static ZSTD: RefCell<Compressor<'static>> = RefCell::new(
        Compressor::new(Coding::Zstd.level(Effort::Once)).expect("the level is one that zstd has"),
    );
    /// To make one costs four times as much as to compress a page with it.
    static DEFLATE: RefCell<Compress> = RefCell::new(deflate(Effort::Once));
}

fn deflate(effort: Effort) -> Compress {
    Compress::new(Compression::new(Coding::Gzip.level(effort).unsigned_abs()), false)
}

/// These bytes in this coding.
pub fn compressed(plain: &[u8], coding: Coding, effort: Effort) -> Bytes {
    const MEMORY: &str = "compressing in memory does not fail";
    match (coding, effort) {
        (Coding::Zstd, Effort::Once) => ZSTD.with_borrow_mut(|zstd| zstd.compress(plain)).expect(MEMORY).into(),
        (Coding::Zstd, Effort::Kept) => zstd::bulk::compress(plain, coding.level(effort)).expect(MEMORY).into(),
        (Coding::Gzip, Effort::Once) => DEFLATE.with_borrow_mut(|deflate| gzip(plain, deflate)).into(),
        (Coding::Gzip, Effort::Kept) => gzip(plain, &mut deflate(effort)).into(),
    }
}

/// A gzip file (RFC 1952): header, what `deflate` makes, checksum and length.
fn gzip(plain: &[u8], deflate: &mut Compress) -> Vec<u8> {
    // Deflate, no name, no time, of an unknown system.
    const HEADER: [u8; 10] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF];
    let mut file = Vec::with_capacity(256 + plain.len() / 2);
    file.extend_from_slice(&HEADER);
    deflate.reset();
    loop {
        let rest = &plain[deflate.total_in() as usize..];
        let status = deflate.compress_vec(rest, &mut file, FlushCompress::Finish).expect("deflate is in order");
        if status == Status::StreamEnd {
            break;
        }
        file.reserve(256 + plain.len() / 2);
    }
    let mut checksum = Crc::new();
    checksum.update(plain);
    file.extend_from_slice(&checksum.sum().to_le_bytes());
    file.extend_from_slice(&(plain.len() as u32).to_le_bytes());
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_liked_coding_is_taken() {
        let best = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(value));
            liked_best(&headers)
        };
        for (value, coding) in [
            ("gzip, deflate, br, zstd", Some(Coding::Zstd)),
            ("gzip", Some(Coding::Gzip)),
            ("X-GZIP", Some(Coding::Gzip)),
            ("zstd;q=0.5, gzip", Some(Coding::Gzip)),
            ("zstd;q=0.501, gzip; q=0.5", Some(Coding::Zstd)),
            ("zstd;q=0, gzip;q=0.001", Some(Coding::Gzip)),
            ("*", Some(Coding::Zstd)),
            ("*;q=0.1, zstd;q=0", Some(Coding::Gzip)),
            ("gzip;q=1.000", Some(Coding::Gzip)),
            ("", None),
            ("identity", None),
            ("deflate, br", None),
            ("gzip;q=0, zstd;q=0.000", None),
            ("gzip;q=1.5", None),
            ("gzip;q=", None),
            ("gzip;q=0.0001", None),
            ("gzip;level=9", None),
            ("gzip;q=0.x", None),
        ] {
            assert_eq!(best(value), coding, "{value:?}");
        }
        assert_eq!(liked_best(&HeaderMap::new()), None);
    }

    #[test]
    fn whatever_is_sent_is_read() {
        const PIECES: [&str; 10] = ["gzip", "zstd", ";", "q=", "0", "1", ".", ",", "*", " "];
        for _ in 0..20_000 {
            let any: String = (0..fastrand::usize(..14)).map(|_| PIECES[fastrand::usize(..PIECES.len())]).collect();
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::try_from(&any).unwrap());
            let named = ["gzip", "zstd", "*"].iter().any(|name| any.contains(name));
            assert!(liked_best(&headers).is_none() || named, "{any:?}");
        }
    }

    #[test]
    fn only_texts_are_compressed() {
        let compresses = |value: &'static str| compresses(&HeaderValue::from_static(value));
        assert!(compresses("application/json") && compresses("text/html; charset=utf-8"));
        assert!(!compresses("text/event-stream") && !compresses("image/png") && !compresses(""));
    }

    #[test]
    fn what_was_compressed_is_read_again() {
        let words = b"a timeline, ".repeat(1_000);
        // Nothing to find in it: it gets longer.
        let noise: Vec<u8> = (0..200_000).map(|_| fastrand::u8(..)).collect();
        for (plain, shrinks) in [(&words[..], true), (&words[..7], false), (&[], false), (&noise[..], false)] {
            for effort in [Effort::Once, Effort::Kept, Effort::Once] {
                let zstd = compressed(plain, Coding::Zstd, effort);
                assert_eq!(zstd::bulk::decompress(&zstd, plain.len()).unwrap(), plain);
                let gzip = compressed(plain, Coding::Gzip, effort);
                let mut read = Vec::new();
                std::io::copy(&mut flate2::read::GzDecoder::new(&gzip[..]), &mut read).unwrap();
                assert_eq!(read, plain);
                assert!(!shrinks || (gzip.len() < plain.len() / 10 && zstd.len() < plain.len() / 10));
            }
        }
    }
}
