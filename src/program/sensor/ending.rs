//! How a watch ends: everything that was found still goes its way, as long as outputs and disk may take.

use super::alert_path::UNCLEAR;
use super::control::{Control, LOOK, PUBLISH, Workers, every};
use super::{Notice, Tell, WatchError, Watched};
use kaspector_delivery::Drained;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long alerts may wait at the end until it is known whether the state file has the same of their hosts.
const LAST_RECALLS: Duration = Duration::from_secs(2);

impl Control<'_> {
    /// Waits for the workers, hands on what they found last, and gives the result.
    ///
    /// # Errors
    /// When an interface failed for good.
    pub async fn finish(mut self, workers: Workers<'_>, tell: Tell<'_>) -> Result<Watched, WatchError> {
        self.notify.stopping();
        let (mut trouble, mut panicked) = (None, None);
        for worker in workers {
            match worker.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => trouble = Some(error),
                // Once what was found has been handed over.
                Err(panic) => panicked = Some(panic),
            }
        }
        self.alerts.look();
        self.alerts.take_records();
        let asked = Instant::now();
        self.alerts.recall(UNCLEAR);
        while self.alerts.is_unclear() && asked.elapsed() < LAST_RECALLS {
            tokio::time::sleep(LOOK).await;
            self.alerts.recall(UNCLEAR);
        }
        self.alerts.recall(Duration::ZERO);
        self.alerts.save();
        let evidence = self.alerts.end_evidence();
        self.alerts.summarise_last();
        self.report(tell);
        let patience = self.options.patience;
        let deadline = Instant::now() + patience;
        self.alerts.hand_on();
        let mut shown = Instant::now();
        while !self.alerts.is_through() && Instant::now() < deadline {
            tokio::time::sleep(LOOK).await;
            self.alerts.hand_on();
            if shown.elapsed() >= PUBLISH {
                self.publish();
                shown = Instant::now();
            }
        }
        self.alerts.drop_rest();
        self.publish();
        let mut watched = self.so_far();
        let signatures = Arc::clone(self.alerts.signatures());
        let (publisher, mut hosts, state_writer) = self.alerts.into_ends();
        let handle = publisher.outputs().handle().clone();
        let watcher = publisher.outputs().watcher();
        let draining = publisher.into_outputs().drain(patience);
        tokio::pin!(draining);
        let mut publish = every(PUBLISH);
        let Drained { behind, outputs } = loop {
            tokio::select! {
                drained = &mut draining => break drained,
                _ = publish.tick() => if let Some(web) = &self.web {
                    let (outputs, spool) = watcher.status();
                    web.publish_outputs(outputs, spool);
                },
            }
        };
        (watched.behind, watched.outputs) = (behind, outputs);
        if let Some(state_writer) = state_writer {
            let (last, silences) = (hosts.take_last_unsaved(&signatures), hosts.take_silences());
            let closed = handle.spawn_blocking(|| state_writer.close(signatures, last, silences));
            if let Ok(Ok(Some(trouble))) = tokio::time::timeout(patience, closed).await {
                tell(Notice::Warning(&trouble));
            }
        }
        if let Some(evidence) = evidence {
            let closed = handle.spawn_blocking(|| evidence.close());
            if tokio::time::timeout(patience, closed).await.is_err() {
                tell(Notice::Warning("the last evidence was not written in time"));
            }
        }
        if let Some(panic) = panicked {
            std::panic::resume_unwind(panic);
        }
        match trouble {
            Some(error) => Err(error.into()),
            None => Ok(watched),
        }
    }
}
