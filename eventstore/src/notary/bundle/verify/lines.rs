//! Reading a bundle's lines, each of a bounded length.

use std::io::{self, BufRead, Read};

use super::super::Line;

/// An event of the largest size, with every byte escaped, is far below it.
const LINE_BYTES_MAX: u64 = 16 * 1024 * 1024;

pub(super) struct Reader<R> {
    lines: R,
    number: u64,
    buffer: Vec<u8>,
}

impl<R: BufRead> Reader<R> {
    pub(super) fn new(lines: R) -> Self {
        Self { lines, number: 0, buffer: Vec::new() }
    }

    /// The first line, which must be one of ours.
    pub(super) fn header(&mut self) -> io::Result<Line> {
        let invalid =
            |why: String| io::Error::new(io::ErrorKind::InvalidData, format!("this is no bundle: {why}"));
        match self.next()? {
            None => Err(invalid("the file is empty".to_string())),
            Some((_, Ok(line))) => Ok(line),
            Some((_, Err(why))) => Err(invalid(why)),
        }
    }

    /// The next line's number, from 1, and what it says.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Result<Line, String>)>> {
        self.buffer.clear();
        let read = (&mut self.lines).take(LINE_BYTES_MAX).read_until(b'\n', &mut self.buffer)?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        if read as u64 == LINE_BYTES_MAX {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("line {} is too long", self.number),
            ));
        }
        let line =
            serde_json::from_slice(&self.buffer).map_err(|error| format!("it is not understood: {error}"));
        Ok(Some((self.number, line)))
    }
}
