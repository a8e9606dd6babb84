use std::collections::{HashMap, HashSet};
use std::time::Duration;

use kubewright_cri::v1::Image;
use tokio::time::Instant;

/// What is remembered of images: since when they are there, and when somebody last used them.
///
/// Synchronous: it keeps no clock and removes nothing.
/// Answers to the engine of `imageGCManager` of Kubernetes 1.36.
#[derive(Clone, Debug, Default)]
pub struct ImageRecords {
    records: HashMap<String, Record>,
    /// Images were looked at before.
    is_initialized: bool,
}

#[derive(Clone, Debug)]
struct Record {
    /// `None` for what was there before the agent.
    first_seen: Option<Instant>,
    /// `None` if it was never seen in use.
    last_used: Option<Instant>,
    size: u64,
    is_pinned: bool,
    is_in_use: bool,
}

/// An image that might go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnusedImage {
    /// What the runtime calls it.
    pub id: String,
    /// Its size in bytes.
    pub size: u64,
}

impl ImageRecords {
    /// Takes in which images there are, and which of them containers use.
    pub fn detect(&mut self, images: &[Image], in_use: &HashSet<String>, now: Instant) {
        let first_seen = self.is_initialized.then_some(now);
        self.is_initialized = true;
        let mut before = std::mem::take(&mut self.records);
        for image in images {
            let mut record = before.remove(&image.id).unwrap_or(Record {
                first_seen,
                last_used: None,
                size: 0,
                is_pinned: false,
                is_in_use: false,
            });
            record.size = image.size;
            record.is_pinned = image.pinned;
            record.is_in_use = in_use.contains(&image.id);
            if record.is_in_use {
                record.last_used = Some(now);
            }
            self.records.insert(image.id.clone(), record);
        }
    }

    /// The images that could go now to make room, in the order in which they should: the least
    /// recently used ones first, of those the longest known. None is younger than `min_age`.
    pub fn unused(&self, min_age: Duration, now: Instant) -> Vec<UnusedImage> {
        self.select(|record| {
            let first_seen = record.first_seen;
            first_seen.is_none_or(|seen| now.duration_since(seen) >= min_age)
        })
    }

    /// The images that nobody has used for longer than `max_age`, in the same order. What was there
    /// before the agent is as old as the agent.
    pub fn outdated(
        &self,
        max_age: Duration,
        agent_started_at: Instant,
        now: Instant,
    ) -> Vec<UnusedImage> {
        self.select(|record| {
            let since = record.last_used.max(record.first_seen);
            let since = since.unwrap_or(agent_started_at).max(agent_started_at);
            now.duration_since(since) > max_age
        })
    }

    /// An image is gone.
    pub fn remove(&mut self, id: &str) {
        self.records.remove(id);
    }

    /// How many images are known.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether no image is known.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    fn select(&self, goes: impl Fn(&Record) -> bool) -> Vec<UnusedImage> {
        let records = self.records.iter();
        let mut images: Vec<_> = records
            .filter(|(_, record)| !record.is_in_use && !record.is_pinned && goes(record))
            .collect();
        images.sort_by_key(|(id, record)| (record.last_used, record.first_seen, id.as_str()));
        let images = images.into_iter().map(|(id, record)| UnusedImage {
            id: id.clone(),
            size: record.size,
        });
        images.collect()
    }
}
