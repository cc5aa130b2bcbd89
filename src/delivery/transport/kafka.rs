//! A Kafka topic: idempotent, acknowledged by all in-sync replicas, in order for each host.

use super::super::Message;
use super::{Delivered, Transport, TransportError};
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use std::sync::Arc;

/// Produces messages with their host as key and their uid as header.
pub(crate) struct KafkaTransport {
    producer: FutureProducer,
    topic: String,
}

impl KafkaTransport {
    /// Connects in the background. The error says what the library does not like.
    pub fn new(brokers: &str, topic: &str) -> Result<Self, String> {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("client.id", "kaspector")
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", "30000")
            .set("linger.ms", "5")
            .create()
            .map_err(|error: KafkaError| error.to_string())?;
        Ok(Self { producer, topic: topic.to_owned() })
    }
}

impl Transport for KafkaTransport {
    async fn deliver(&mut self, batch: &[Arc<Message>]) -> Result<Delivered, TransportError> {
        let mut delivered = Delivered::default();
        let mut waiting = Vec::with_capacity(batch.len());
        for message in batch {
            let headers = OwnedHeaders::new().insert(Header { key: "uid", value: Some(&*message.uid) });
            let record = FutureRecord::to(&self.topic).key(&*message.host).payload(&*message.line).headers(headers);
            waiting.push((message, self.producer.send_result(record).map_err(|(error, _)| error)));
        }
        for (message, outcome) in waiting {
            let error = match outcome {
                Ok(future) => match future.await {
                    Ok(Ok(_)) => continue,
                    Ok(Err((error, _))) => error,
                    Err(_) => KafkaError::Canceled,
                },
                Err(error) => error,
            };
            delivered.reason = Some(error.to_string());
            match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidMessage) => {
                    delivered.rejected += 1
                }
                _ => delivered.again.push(Arc::clone(message)),
            }
        }
        Ok(delivered)
    }
}
