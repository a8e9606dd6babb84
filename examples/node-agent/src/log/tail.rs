use std::io::SeekFrom;

use memchr::memrchr_iter;
use tokio::fs::File;
use tokio::io::{self, AsyncReadExt as _, AsyncSeekExt as _};

/// How much is read at a time, from the end.
const BLOCK: u64 = 16 << 10;

/// Where the last so many lines of a file begin. What follows the last line feed is a line, if lines
/// are asked for at all.
///
/// Answers to `FindTailLineStartIndex` of Kubernetes 1.36.
pub(super) async fn tail_start(file: &mut File, lines: u64) -> io::Result<u64> {
    let end = file.seek(SeekFrom::End(0)).await?;
    let mut block = Vec::new();
    let mut start = end;
    let mut found = 0;
    while start > 0 {
        let length = start.min(BLOCK);
        start -= length;
        file.seek(SeekFrom::Start(start)).await?;
        block.clear();
        (&mut *file).take(length).read_to_end(&mut block).await?;
        for feed in memrchr_iter(b'\n', &block) {
            let after = start + feed as u64 + 1;
            // The line feed at the very end ends the last line, and begins none.
            if after == end && lines > 0 {
                continue;
            }
            found += 1;
            if found >= lines {
                return Ok(after);
            }
        }
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(content: &str, lines: u64, expected: usize) {
        let path = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(path.path(), content).unwrap();
        let mut file = File::open(path.path()).await.unwrap();
        let start = tail_start(&mut file, lines).await.unwrap();
        assert_eq!(
            start,
            expected as u64,
            "{lines} lines of {} bytes",
            content.len()
        );
    }

    /// Answers to `TestTail` of the package `tail`.
    #[tokio::test]
    async fn tail() {
        let line = "a".repeat(1024) + "\n";
        let ten = line.repeat(10);
        let length = line.len();
        check(&ten, 0, length * 10).await;
        check(&ten, 1, length * 9).await;
        check(&ten, 9, length).await;
        check(&ten, 10, 0).await;
        check(&ten, 11, 0).await;
    }

    #[tokio::test]
    async fn lines_are_found_across_blocks_and_without_a_feed_at_the_end() {
        let line = "b".repeat(3 * 16 * 1024 + 7) + "\n";
        check(&line.repeat(4), 2, line.len() * 2).await;
        check("a\nb\nc", 1, 4).await;
        check("a\nb\nc", 2, 2).await;
        check("a\nb\nc", 0, 4).await;
        check("c", 1, 0).await;
        check("", 5, 0).await;
        check("\n\n\n", 2, 1).await;
    }
}
