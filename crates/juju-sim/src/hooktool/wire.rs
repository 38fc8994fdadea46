//! What the tool client and the agent say to each other over the socket: lists of byte strings, each with its length
//! before it. Real Juju speaks Go's net/rpc there; no charm sees that, so it is not copied.

use std::io::{self, Read, Write};

/// Counts changes of this form. A client of another count is not used, see [`crate::agent::jujuc`].
pub const PROTOCOL: &str = "2";

/// The largest message, in bytes. A tool's input is a data bag or a log line; this is far above both.
const LARGEST: u32 = 64 << 20;

/// A tool call on its way to the agent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// `JUJU_CONTEXT_ID` of the caller.
    pub context: Vec<u8>,
    /// The caller's working directory.
    pub cwd: Vec<u8>,
    /// Its standard input, once it was asked for.
    pub stdin: Option<Vec<u8>>,
    /// The tool and its arguments.
    pub argv: Vec<Vec<u8>>,
}

/// The agent's answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Response {
    pub exit: i32,
    pub reads_stdin: bool,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Request {
    pub fn send(&self, to: &mut impl Write) -> io::Result<()> {
        let (given, stdin): (&[u8], &[u8]) = match &self.stdin {
            Some(stdin) => (b"1", stdin),
            None => (b"0", b""),
        };
        let mut parts: Vec<&[u8]> = vec![&self.context, &self.cwd, given, stdin];
        parts.extend(self.argv.iter().map(Vec::as_slice));
        send(to, &parts)
    }

    pub fn receive(from: &mut impl Read) -> io::Result<Self> {
        let mut parts = receive(from)?.into_iter();
        let mut next = || parts.next().ok_or_else(|| invalid("too short"));
        let (context, cwd, given, stdin) = (next()?, next()?, next()?, next()?);
        Ok(Self {
            context,
            cwd,
            stdin: (given == b"1").then_some(stdin),
            argv: parts.collect(),
        })
    }
}

impl Response {
    pub fn send(&self, to: &mut impl Write) -> io::Result<()> {
        let exit = self.exit.to_string();
        let wants: &[u8] = if self.reads_stdin { b"1" } else { b"0" };
        send(to, &[exit.as_bytes(), wants, &self.stdout, &self.stderr])
    }

    pub fn receive(from: &mut impl Read) -> io::Result<Self> {
        let mut parts = receive(from)?.into_iter();
        let mut next = || parts.next().ok_or_else(|| invalid("too short"));
        let exit = String::from_utf8_lossy(&next()?)
            .parse()
            .map_err(|_| invalid("no exit code"))?;
        Ok(Self {
            exit,
            reads_stdin: next()? == b"1",
            stdout: next()?,
            stderr: next()?,
        })
    }
}

fn send(to: &mut impl Write, parts: &[&[u8]]) -> io::Result<()> {
    // One write: the message is whole or the connection is broken.
    let mut message = Vec::new();
    let number = |length: usize| {
        u32::try_from(length)
            .map_err(|_| invalid("too long"))
            .map(u32::to_be_bytes)
    };
    message.extend(number(parts.len())?);
    for part in parts {
        message.extend(number(part.len())?);
        message.extend_from_slice(part);
    }
    to.write_all(&message)
}

fn receive(from: &mut impl Read) -> io::Result<Vec<Vec<u8>>> {
    let mut left = LARGEST;
    let mut number = |from: &mut dyn Read| -> io::Result<u32> {
        let mut bytes = [0; 4];
        from.read_exact(&mut bytes)?;
        let number = u32::from_be_bytes(bytes);
        left = left.checked_sub(number).ok_or_else(|| invalid("too long"))?;
        Ok(number)
    };
    let count = number(from)?;
    let mut parts = Vec::new();
    for _ in 0..count {
        let length = number(from)?;
        let mut part = vec![0; usize::try_from(length).map_err(|_| invalid("too long"))?];
        from.read_exact(&mut part)?;
        parts.push(part);
    }
    Ok(parts)
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("message {what}"))
}

#[cfg(test)]
mod tests {
    use super::{Request, Response};

    #[test]
    fn messages_arrive_as_sent() {
        for stdin in [None, Some(Vec::new()), Some(b"a: b".to_vec())] {
            let sent = Request {
                context: b"iris/0-start".to_vec(),
                cwd: b"/".to_vec(),
                stdin,
                argv: vec![b"juju-log".to_vec(), Vec::new(), vec![0xff]],
            };
            let mut bytes = Vec::new();
            sent.send(&mut bytes).unwrap();
            assert_eq!(Request::receive(&mut bytes.as_slice()).unwrap(), sent);
            bytes.pop();
            assert!(Request::receive(&mut bytes.as_slice()).is_err());
        }
        let sent = Response {
            exit: 2,
            reads_stdin: true,
            stdout: b"x".to_vec(),
            stderr: b"y".to_vec(),
        };
        let mut bytes = Vec::new();
        sent.send(&mut bytes).unwrap();
        assert_eq!(Response::receive(&mut bytes.as_slice()).unwrap(), sent);
    }
}
