//! A fuzz target for what stands in PostgreSQL's columns. A server that says what the target wants lets the client in, so
//! the rows are the client library's own; which type a column has is fixed, as the schema has it.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::runtime::Runtime;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Config, NoTls, Row};

use super::rows::UserRow;
use super::transaction::{Stop, replay};
use super::{outbox, reads, tuning};
use crate::model::{
    Command, CommandKey, Costs, Heat, Measured, Millis, Outcome, PostId, Request, Stamp, Tuning, UserCard, UserId,
};
use crate::testkit::fuzz;

const MAX: u64 = i64::MAX as u64;

/// A message of the protocol: a letter, the length, the body.
fn message(letter: u8, body: &[u8]) -> Vec<u8> {
    [&[letter][..], &(body.len() as i32 + 4).to_be_bytes(), body].concat()
}

/// What a server answers to a query, with one row.
fn answer(types: &[Type], values: &[Option<&[u8]>]) -> Vec<u8> {
    let (mut columns, mut row) =
        ((types.len() as i16).to_be_bytes().to_vec(), (types.len() as i16).to_be_bytes().to_vec());
    for (kind, value) in types.iter().zip(values) {
        // A name; table and place in it; type, its size and modifier; binary.
        columns.extend(b"c\0\0\0\0\0\0\0");
        columns.extend(kind.oid().to_be_bytes());
        columns.extend(b"\xff\xff\xff\xff\xff\xff\0\x01");
        row.extend(value.map_or(-1, |value| value.len() as i32).to_be_bytes());
        row.extend_from_slice(value.unwrap_or_default());
    }
    let messages: [(u8, &[u8]); 6] =
        [(b'1', b""), (b'2', b""), (b'T', &columns), (b'D', &row), (b'C', b"SELECT 1\0"), (b'Z', b"I")];
    messages.iter().flat_map(|(letter, body)| message(*letter, body)).collect()
}

/// Lets a client in, and gives the answer that is put here to whatever it asks.
async fn serve(mut stream: DuplexStream, answer: Arc<Mutex<Vec<u8>>>) -> std::io::Result<()> {
    let mut startup = vec![0; stream.read_i32().await? as usize - 4];
    stream.read_exact(&mut startup).await?;
    stream.write_all(&[message(b'R', &[0; 4]), message(b'Z', b"I")].concat()).await?;
    loop {
        let letter = stream.read_u8().await?;
        let mut body = vec![0; stream.read_i32().await? as usize - 4];
        stream.read_exact(&mut body).await?;
        if letter == b'S' {
            let answer = answer.lock().unwrap().clone();
            stream.write_all(&answer).await?;
        }
    }
}

struct Server {
    runtime: Runtime,
    client: Client,
    answer: Arc<Mutex<Vec<u8>>>,
}

impl Server {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (ours, theirs) = duplex(1 << 20);
        let answer = Arc::<Mutex<Vec<u8>>>::default();
        runtime.spawn(serve(theirs, answer.clone()));
        let client = runtime.block_on(async {
            let (client, connection) = Config::new().user("x").connect_raw(ours, NoTls).await.unwrap();
            tokio::spawn(connection);
            client
        });
        Self { runtime, client, answer }
    }

    fn row(&self, types: &[Type], values: &[Option<&[u8]>]) -> Row {
        *self.answer.lock().unwrap() = answer(types, values);
        self.runtime.block_on(self.client.query_typed_one("SELECT", &[])).unwrap()
    }
}

/// The columns of what is read: a user, events, a follow view, what a channel is chosen by, the record of a key.
fn kinds() -> [Vec<Type>; 5] {
    let (number, text, numbers) = (Type::INT8, Type::TEXT, Type::INT8_ARRAY);
    let named = vec![number.clone(), text.clone(), text.clone()];
    let rest = vec![number.clone(), number.clone(), Type::BOOL, Type::BOOL, number.clone()];
    [
        [named, rest].concat(),
        vec![number.clone(), number.clone(), numbers.clone(), Type::BYTEA_ARRAY],
        [vec![numbers.clone(); 5], vec![number.clone(); 3]].concat(),
        vec![Type::JSONB, text, numbers],
        vec![Type::BYTEA, number, Type::JSONB],
    ]
}

/// Whether a row of this kind was understood.
fn understood(kind: usize, row: Row) -> bool {
    match kind {
        0 => UserRow::read(&row).is_ok_and(|user| {
            let numbers = [user.card.id.0, user.followers, user.following, user.last_post.0];
            assert!(numbers.into_iter().all(|number| number <= MAX), "{user:?}");
            assert!(user.card.handle.as_str().parse() == Ok(user.card.handle.clone()), "{user:?}");
            true
        }),
        1 => outbox::events(&row).is_ok_and(|(place, events)| {
            assert!(place.0 <= MAX && events.iter().all(|event| event.position.0.max(event.epoch.0) <= MAX));
            true
        }),
        2 => reads::view(&row).is_ok_and(|view| {
            let others =
                [&view.mutes, &view.blocks, &view.blocked_by].into_iter().flat_map(|users| users.iter().copied());
            assert!(
                others.chain(view.follows.iter().map(|follow| follow.followee)).all(|user| user.0 <= MAX),
                "{view:?}"
            );
            let end = Stamp(row.get::<_, i64>(7) as u64);
            let stamps = view.follows.iter().map(|follow| follow.stamp).chain([view.widened]);
            assert!(stamps.into_iter().all(|stamp| stamp < end || stamp == Stamp::default()), "{view:?}");
            true
        }),
        3 => tuning::Choice::read(std::slice::from_ref(&row)).is_ok_and(|choice| {
            let user = UserRow { card: ann(), followers: 5, following: 0, heat: Heat::default(), last_post: PostId(1) };
            let pinned = UserRow { heat: Heat { hot: false, pin: Some(crate::model::Channel::Pull) }, ..user.clone() };
            assert!(!choice.heat_at_post(&UserRow { followers: 0, ..user }, PostId(MAX)).hot || enters_at_zero(&row));
            assert_eq!(choice.heat_at_post(&pinned, PostId(1 << 61)).pin, pinned.heat.pin);
            true
        }),
        _ => match replay(&row, &request(), Millis(1_000)) {
            Ok(known) => {
                assert!(known.is_none() || row.get::<_, &[u8]>(0) == [3; 16], "another request's outcome");
                true
            }
            Err(Stop::Rejected(_)) => {
                assert!(row.get::<_, &[u8]>(0) != [3; 16], "it is the same request");
                false
            }
            Err(Stop::Failed(_) | Stop::Unknown(_)) => false,
        },
    }
}

/// With such a tuning nobody is cold.
fn enters_at_zero(row: &Row) -> bool {
    tuning::read(row).is_ok_and(|tuning| tuning.settings.enter_followers == 0)
}

fn ann() -> UserCard {
    UserCard { id: UserId(7), handle: "ann".parse().unwrap(), name: "Ann".into() }
}

fn request() -> Request {
    let key = CommandKey { key: b"k".as_slice().into(), fingerprint: [3; 16] };
    Request { actor: UserId(7), key, command: Command::Like { post: PostId(9) } }
}

/// An array of one dimension.
fn array(oid: u32, items: &[&[u8]]) -> Vec<u8> {
    let mut bytes = [1, 0, oid as i32, items.len() as i32, 1].map(i32::to_be_bytes).concat();
    for item in items {
        bytes.extend((item.len() as i32).to_be_bytes());
        bytes.extend_from_slice(item);
    }
    bytes
}

fn seeds() -> Vec<Vec<u8>> {
    let numbers = |numbers: &[i64]| {
        let items: Vec<[u8; 8]> = numbers.iter().map(|number| number.to_be_bytes()).collect();
        array(20, &items.iter().map(<[u8; 8]>::as_slice).collect::<Vec<_>>())
    };
    let number = |number: i64| number.to_be_bytes().to_vec();
    let json = |text: &str| [&b"\x01"[..], text.as_bytes()].concat();
    let seed = |kind: u8, values: &[Option<Vec<u8>>]| {
        let value = |value: &Option<Vec<u8>>| match value {
            None => vec![u8::MAX],
            Some(value) => [&[u8::try_from(value.len()).unwrap()][..], value].concat(),
        };
        [vec![kind], values.iter().flat_map(value).collect()].concat()
    };
    let some = |values: &[Vec<u8>]| values.iter().cloned().map(Some).collect::<Vec<_>>();
    let tuning = |mode: &str| {
        let tuning = Tuning {
            version: 3,
            settings: Default::default(),
            changed_by: crate::model::ChangedBy::Config,
            changed_at: Millis(5),
        };
        json(&serde_json::to_string(&tuning).unwrap().replace("threshold", mode))
    };
    let sample = Measured { flush_ns: 5e5, deliveries: 1e3, merge_ns: 6e5, streams: 2e2, fills: 9e2 };
    let costs = Costs::with(Some(Costs::with(None, &sample, 9, Millis(0))), &sample, 9, Millis(3_600_000));
    let costs = serde_json::to_vec(&costs).unwrap();
    let outcome = json(&serde_json::to_string(&Outcome::Done).unwrap());
    let mut user =
        some(&[number(7), b"ann".to_vec(), "Ann Ä".into(), number(3), number(0), vec![1], vec![0], number(1 << 61)]);
    let one = seed(0, &user);
    user[6] = None;
    vec![
        one,
        seed(0, &user),
        seed(1, &some(&[number(5), number(1), numbers(&[2, 3]), array(17, &[&[1, 12, 7], b""])])),
        seed(
            2,
            &some(&[
                numbers(&[4, 5]),
                numbers(&[8, 99]),
                numbers(&[6]),
                numbers(&[]),
                numbers(&[9]),
                number(3),
                number(9),
                number(10),
            ]),
        ),
        seed(3, &some(&[tuning("cost"), costs, numbers(&[1 << 61, 1 << 60])])),
        seed(3, &[Some(tuning("threshold")), None, None]),
        seed(4, &some(&[vec![3; 16], number(900), outcome])),
    ]
}

/// The input: a kind, then each column as its length and so many bytes; the length 255 stands for NULL.
#[test]
fn whatever_stands_in_columns_it_is_refused_or_within_its_range() {
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/columns");
    let (server, kinds) = (Server::start(), kinds());
    let read = |input: &[u8]| {
        let Some((&kind, mut rest)) = input.split_first() else { return false };
        let kind = usize::from(kind) % kinds.len();
        let values = kinds[kind].iter().map(|_| {
            let (&length, behind) = rest.split_first()?;
            let value =
                Some(()).filter(|()| length < u8::MAX).map(|()| behind.split_at(behind.len().min(length.into())));
            rest = value.map_or(behind, |(_, behind)| behind);
            value.map(|(value, _)| value)
        });
        let values: Vec<Option<&[u8]>> = values.collect();
        understood(kind, server.row(&kinds[kind], &values))
    };
    let seeds = seeds();
    assert!(seeds.iter().all(|seed| read(seed)), "what a server says is understood");
    fuzz(kept, seeds, read);
}
