//! One connection of a client: prepared bytes out, one answer in. It does little, so that the gateway gets the processor.

use anyhow::{Context, ensure};
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _,
};
use tokio::io::{BufReader, sink};

use super::asks::Ask;

/// A connection that stays until it is dropped.
pub(crate) struct Wire<S> {
    stream: BufReader<S>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream: BufReader::new(stream),
        }
    }

    /// Asks one after the other.
    pub(crate) async fn ask_all(&mut self, asks: &[Ask]) -> anyhow::Result<()> {
        for ask in asks {
            self.ask(ask).await?;
        }
        Ok(())
    }

    /// Asks, reads the whole answer, and compares its status.
    async fn ask(&mut self, ask: &Ask) -> anyhow::Result<()> {
        self.stream.get_mut().write_all(&ask.bytes).await?;
        let answer = self.answer(ask.is_head).await;
        let status = answer.with_context(|| ask.name.clone())?;
        ensure!(
            status == ask.status,
            "{}: {status} instead of {}",
            ask.name,
            ask.status
        );
        Ok(())
    }

    /// The status; the body is read to its end.
    async fn answer(&mut self, is_head: bool) -> anyhow::Result<u16> {
        let first = self.line().await?;
        let status = first.split(' ').nth(1).context("no status")?.parse()?;
        let (mut length, mut is_chunked) = (0, false);
        loop {
            let line = self.line().await?.to_ascii_lowercase();
            match line.split_once(": ") {
                Some(("content-length", value)) => length = value.parse()?,
                Some(("transfer-encoding", _)) => is_chunked = true,
                Some(_) => {}
                None => break,
            }
        }
        match is_chunked {
            _ if is_head || status == 304 => {}
            true => self.chunks().await?,
            false => self.skip(length).await?,
        }
        Ok(status)
    }

    async fn chunks(&mut self) -> anyhow::Result<()> {
        loop {
            let size = u64::from_str_radix(&self.line().await?, 16)?;
            self.skip(size).await?;
            // The line end after the piece; no trailers are asked for.
            self.line().await?;
            if size == 0 {
                return Ok(());
            }
        }
    }

    async fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line).await?;
        let line = line.strip_suffix("\r\n").context("the answer is cut off")?;
        Ok(line.to_owned())
    }

    async fn skip(&mut self, count: u64) -> anyhow::Result<()> {
        let mut part = (&mut self.stream).take(count);
        let skipped = tokio::io::copy_buf(&mut part, &mut sink()).await?;
        ensure!(skipped == count, "the answer is cut off");
        Ok(())
    }
}
