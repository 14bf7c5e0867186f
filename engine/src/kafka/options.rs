//! What an operator sets for the log, and what is wrong when it cannot be used so.

use thiserror::Error;

/// The client library that speaks to Kafka.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Driver {
    /// `rdkafka`: librdkafka, for all brokers.
    Rdkafka,
    /// `kafka`: rust-kafka, for brokers up to 3.9.
    Kafka,
}

/// Where the log is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KafkaOptions {
    /// Addresses (`host:port`) to begin with; the others are learned from these.
    pub brokers: Vec<String>,
    /// The topic of the events. Dead letters are in `<topic>.dead`.
    pub topic: String,
    /// Partitions of the topic. They cannot be changed later: readers find a number by its partition.
    pub partitions: u32,
    /// The client library.
    pub driver: Driver,
}

impl KafkaOptions {
    /// The topic of the dead letters.
    pub(super) fn dead_topic(&self) -> String {
        format!("{}.dead", self.topic)
    }

    /// # Errors
    /// When no log can be like this.
    pub(super) fn check(&self) -> Result<(), SetupError> {
        let why = |setting, why| Err(SetupError::Setting { setting, why });
        if self.brokers.is_empty() || self.brokers.iter().any(|broker| !broker.contains(':')) {
            return why("log.brokers", "it must list addresses, each as host:port");
        }
        // Kafka's own rule; the suffix for the dead letters counts too.
        let name = |c: char| c.is_ascii_alphanumeric() || ['.', '_', '-'].contains(&c);
        if self.topic.is_empty() || self.topic.len() > 240 || !self.topic.chars().all(name) {
            return why("log.topic", "it must be 1 to 240 letters, digits, '.', '_' or '-'");
        }
        if !(1..=1_024).contains(&self.partitions) {
            return why("log.partitions", "it must be 1 to 1024");
        }
        Ok(())
    }
}

/// Why the log cannot be used as it is set: the message names the setting to change, or what to run.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum SetupError {
    /// A setting is impossible.
    #[error("{setting}: {why}")]
    Setting {
        /// Its name.
        setting: &'static str,
        /// What it must be.
        why: &'static str,
    },
    /// No broker answered.
    #[error("log.brokers: no Kafka broker answers at {brokers}: {why}")]
    Unreachable {
        /// Those that were tried.
        brokers: String,
        /// What the client library said.
        why: String,
    },
    /// The brokers have no such topic.
    #[error("log.topic: there is no topic \"{0}\"; run `tributary migrate` to create it")]
    NoTopic(String),
    /// The topic has another number of partitions.
    #[error(
        "log.partitions is {set}, but the topic \"{topic}\" has {found} partitions; set {found}, or name another topic"
    )]
    Partitions {
        /// The topic.
        topic: String,
        /// What is set.
        set: u32,
        /// What the topic has.
        found: u32,
    },
    /// The topic is full of something else.
    #[error("log.topic: the newest messages of \"{0}\" are not Tributary's; name another topic")]
    Foreign(String),
    /// An existing topic would lose or refuse our messages.
    #[error("log.topic: \"{topic}\" has {setting}={found}, and must have {needed}; change it, or name another topic")]
    TopicSetting {
        /// The topic.
        topic: String,
        /// The topic's setting.
        setting: &'static str,
        /// What it is.
        found: String,
        /// What it must be.
        needed: &'static str,
    },
    /// The brokers answer, but not to this driver.
    #[error("log.driver: the driver \"kafka\" speaks to brokers up to 3.9, and these broke off ({0}); set \"rdkafka\"")]
    Driver(String),
    /// Kafka refused to create a topic.
    #[error("creating the topic \"{topic}\" failed: {why}")]
    Create {
        /// The topic.
        topic: String,
        /// What Kafka said.
        why: String,
    },
}
