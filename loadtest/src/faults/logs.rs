//! The log files that the cluster's processes write, read as they grow: what a process has said outlives it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A log file, and how far it was read.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    /// The file that was read last. A long log is set aside when its process is started again, and another one begun.
    inode: Option<u64>,
    bytes: u64,
}

impl Log {
    /// Nothing of it is read yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path, inode: None, bytes: 0 }
    }

    /// The whole lines that have come since the last time.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn news(&mut self) -> Result<String> {
        let mut news = String::new();
        let current = open(&self.path)?;
        let inode = inode(&current)?;
        if let Some(before) = self.inode
            && before != inode
        {
            news += &self.rest_of(before)?;
            self.bytes = 0;
        }
        self.inode = Some(inode);
        let bytes = read_from(current, self.bytes).with_context(|| cannot_read(&self.path))?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        self.bytes += u64::try_from(whole)?;
        news += &String::from_utf8_lossy(&bytes[..whole]);
        Ok(news)
    }

    /// What had not been read of the file that was set aside.
    fn rest_of(&self, before: u64) -> Result<String> {
        let aside = self.path.with_extension("log.1");
        let file = open(&aside)?;
        if inode(&file)? != before {
            return Ok(String::new());
        }
        let bytes = read_from(file, self.bytes).with_context(|| cannot_read(&aside))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn open(path: &Path) -> Result<File> {
    File::open(path).with_context(|| cannot_read(path))
}

fn cannot_read(path: &Path) -> String {
    format!("cannot read {}", path.display())
}

fn inode(file: &File) -> Result<u64> {
    Ok(file.metadata()?.ino())
}

fn read_from(mut file: File, start: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![];
    file.seek(SeekFrom::Start(start))?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn write(path: &Path, text: &str) {
        let mut file = File::options().create(true).append(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn each_line_is_told_once_and_when_it_is_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("shard-node-1.log");
        let mut log = Log::new(path.clone());
        assert!(log.news().is_err(), "there is no such file");
        write(&path, "one\ntwo\nthr");
        assert_eq!(log.news().unwrap(), "one\ntwo\n");
        assert_eq!(log.news().unwrap(), "");
        write(&path, "ee\n");
        assert_eq!(log.news().unwrap(), "three\n");
    }

    #[test]
    fn rest_of_a_log_that_was_set_aside_is_told_too() {
        let directory = tempfile::tempdir().unwrap();
        let (path, aside) = (directory.path().join("shard-node-1.log"), directory.path().join("shard-node-1.log.1"));
        let mut log = Log::new(path.clone());
        write(&path, "one\n");
        assert_eq!(log.news().unwrap(), "one\n");
        write(&path, "two\n");
        std::fs::rename(&path, &aside).unwrap();
        write(&path, "three\n");
        assert_eq!(log.news().unwrap(), "two\nthree\n");
        write(&path, "four\n");
        assert_eq!(log.news().unwrap(), "four\n");
    }
}
