//! Who hosts are: asked of the sensor for those of a page, which holds what is known of all machines and makes no copy of it.

use kaspector::matching::HostKey;
use kaspector_report::SeenMachines;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// How long a reader waits for an answer; then it gets the hosts without their names.
const ANSWERED_WITHIN: Duration = Duration::from_secs(3);
/// Questions that wait.
const WAITING_MAX: usize = 16;

/// A question which machines have these addresses.
#[derive(Debug)]
pub struct WhoIs {
    /// The hosts.
    pub hosts: Vec<HostKey>,
    answer: oneshot::Sender<SeenMachines>,
}

impl WhoIs {
    /// Answers it. Who has gone meanwhile gets nothing.
    pub fn answer(self, machines: SeenMachines) {
        _ = self.answer.send(machines);
    }
}

/// The way of questions to the sensor.
#[derive(Debug, Default)]
pub(super) struct Questions(Mutex<Option<mpsc::Sender<WhoIs>>>);

impl Questions {
    /// Has somebody answer them from now on.
    pub fn listen(&self) -> mpsc::Receiver<WhoIs> {
        let (asked, questions) = mpsc::channel(WAITING_MAX);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(asked);
        questions
    }

    /// The machines that have these addresses; none when nobody answers.
    pub async fn ask(&self, hosts: Vec<HostKey>) -> SeenMachines {
        let asked = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(asked) = asked.filter(|_| !hosts.is_empty()) else { return SeenMachines::default() };
        let (answer, answered) = oneshot::channel();
        let answered = async {
            asked.send(WhoIs { hosts, answer }).await.ok()?;
            answered.await.ok()
        };
        timeout(ANSWERED_WITHIN, answered).await.ok().flatten().unwrap_or_default()
    }
}
