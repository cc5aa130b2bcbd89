//! Who hosts are, and which are called something: asked of the sensor, which holds what is known of all machines and makes no copy of it.

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

/// A question for machines.
#[derive(Debug)]
pub struct WhoIs {
    /// Which ones.
    pub asked: Asked,
    answer: oneshot::Sender<SeenMachines>,
}

/// Machines that are asked for.
#[derive(Debug)]
pub enum Asked {
    /// Those that have one of these addresses.
    Having(Vec<HostKey>),
    /// Those that are called something in which one of these words occurs. The words are in lower case.
    Called(Vec<String>),
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

    /// The machines that are asked for; none when nobody answers.
    pub async fn ask(&self, asked: Asked) -> SeenMachines {
        let is_empty = match &asked {
            Asked::Having(hosts) => hosts.is_empty(),
            Asked::Called(words) => words.is_empty(),
        };
        let listener = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(listener) = listener.filter(|_| !is_empty) else { return SeenMachines::default() };
        let (answer, answered) = oneshot::channel();
        let answered = async {
            listener.send(WhoIs { asked, answer }).await.ok()?;
            answered.await.ok()
        };
        timeout(ANSWERED_WITHIN, answered).await.ok().flatten().unwrap_or_default()
    }
}
