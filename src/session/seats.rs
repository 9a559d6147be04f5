//! A row of seats per person: at most so many sessions, and where to find them.
//!
//! The store can only write what is not there, so a seat is taken by writing into a free one. Of many logins at once
//! each gets a seat of its own; when none is free, the oldest login gives up its seat.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::clock::unix_milliseconds;
use crate::store::{self, Store};

/// Who sits where, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seat {
    sid: String,
    since: SystemTime,
}

/// All rows.
#[derive(Debug)]
pub(super) struct Seats {
    store: Store,
    most: u32,
    /// The key under which a session has its record.
    record_key: fn(&str) -> String,
}

impl Seats {
    /// Rows of so many seats; at least one.
    pub(super) fn new(store: Store, most: u32, record_key: fn(&str) -> String) -> Self {
        Self {
            store,
            most: most.max(1),
            record_key,
        }
    }

    /// Takes a seat for so long; the sessions that lost theirs.
    ///
    /// Dropping the future may leave a seat taken by nobody, which the next full row finds out.
    pub(super) async fn take(
        &self,
        owner: &str,
        (sid, since): (String, SystemTime),
        lifetime: Duration,
    ) -> Result<Vec<String>, store::Error> {
        let mut waiting = vec![Seat { sid, since }];
        let mut gone = Vec::new();
        while let Some(seat) = waiting.pop() {
            if self.sit(owner, &seat, lifetime).await? {
                continue;
            }
            let (number, loser) = self.loser(owner).await?;
            let freed = self.store.take(&key(owner, number)).await?;
            waiting.push(seat);
            match freed.as_deref().and_then(decode) {
                Some(freed) if Some(&freed) == loser.as_ref() => gone.push(freed.sid),
                // Somebody newer had just sat down there.
                Some(other) => waiting.push(other),
                None => {}
            }
        }
        Ok(gone)
    }

    /// Frees the seat of a session, if it has one.
    pub(super) async fn leave(&self, owner: &str, sid: &str) -> Result<(), store::Error> {
        for number in 0..self.most {
            let seat = self.seat(owner, number).await?;
            if seat.is_some_and(|seat| seat.sid == sid) {
                self.store.take(&key(owner, number)).await?;
            }
        }
        Ok(())
    }

    /// The sessions of everybody in a row.
    pub(super) async fn taken(&self, owner: &str) -> Result<Vec<String>, store::Error> {
        let mut sids = Vec::new();
        for number in 0..self.most {
            sids.extend(self.seat(owner, number).await?.map(|seat| seat.sid));
        }
        Ok(sids)
    }

    async fn sit(
        &self,
        owner: &str,
        seat: &Seat,
        lifetime: Duration,
    ) -> Result<bool, store::Error> {
        let value = encode(seat);
        for number in 0..self.most {
            if self
                .store
                .put_new(&key(owner, number), &value, lifetime)
                .await?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Who must go: a session that is over already, else the oldest login.
    async fn loser(&self, owner: &str) -> Result<(u32, Option<Seat>), store::Error> {
        let mut oldest: Option<(u32, Seat)> = None;
        for number in 0..self.most {
            let Some(seat) = self.seat(owner, number).await? else {
                return Ok((number, None));
            };
            let record = (self.record_key)(&seat.sid);
            if self.store.get(&record).await?.is_none() {
                return Ok((number, Some(seat)));
            }
            if oldest
                .as_ref()
                .is_none_or(|(_, oldest)| seat.since < oldest.since)
            {
                oldest = Some((number, seat));
            }
        }
        Ok(oldest.map_or((0, None), |(number, seat)| (number, Some(seat))))
    }

    async fn seat(&self, owner: &str, number: u32) -> Result<Option<Seat>, store::Error> {
        let value = self.store.get(&key(owner, number)).await?;
        Ok(value.as_deref().and_then(decode))
    }
}

fn key(owner: &str, number: u32) -> String {
    format!("seat:{owner}:{number}")
}

fn encode(seat: &Seat) -> Vec<u8> {
    let mut bytes = unix_milliseconds(seat.since).to_be_bytes().to_vec();
    bytes.extend_from_slice(seat.sid.as_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<Seat> {
    let (since, sid) = bytes.split_first_chunk()?;
    let since = UNIX_EPOCH.checked_add(Duration::from_millis(u64::from_be_bytes(*since)))?;
    let sid = std::str::from_utf8(sid).ok()?.to_owned();
    Some(Seat { sid, since })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use futures_util::future::join_all;

    use super::*;
    use crate::clock::Clock;

    const LONG: Duration = Duration::from_secs(3600);

    fn seats(most: u32) -> Seats {
        let store = Store::open(&store::Settings::Memory, Clock::system()).unwrap();
        Seats::new(store, most, |sid| format!("record {sid}"))
    }

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    async fn enter(seats: &Seats, sid: &str, seconds: u64) -> Vec<String> {
        let record = format!("record {sid}");
        seats.store.put(&record, &[], LONG).await.unwrap();
        let seat = (sid.to_owned(), at(seconds));
        seats.take("o", seat, LONG).await.unwrap()
    }

    #[tokio::test]
    async fn the_oldest_login_gives_up_its_seat() {
        let seats = seats(2);

        assert_eq!(enter(&seats, "b", 2).await, Vec::<String>::new());
        assert_eq!(enter(&seats, "a", 1).await, Vec::<String>::new());
        assert_eq!(enter(&seats, "c", 3).await, ["a"]);
        assert_eq!(enter(&seats, "d", 4).await, ["b"]);

        let mut taken = seats.taken("o").await.unwrap();
        taken.sort();
        assert_eq!(taken, ["c", "d"]);
    }

    #[tokio::test]
    async fn a_session_that_is_over_goes_before_older_ones() {
        let seats = seats(2);
        enter(&seats, "old", 1).await;
        enter(&seats, "over", 2).await;

        seats.store.take("record over").await.unwrap();

        assert_eq!(enter(&seats, "new", 3).await, ["over"]);
    }

    #[tokio::test]
    async fn a_seat_that_was_left_is_free() {
        let seats = seats(1);
        enter(&seats, "a", 1).await;

        seats.leave("o", "a").await.unwrap();

        assert_eq!(enter(&seats, "b", 2).await, Vec::<String>::new());
        assert_eq!(seats.taken("p").await.unwrap(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn of_many_at_once_as_many_stay_as_there_are_seats() {
        let seats = seats(5);
        let names: Vec<String> = (0..50).map(|number| format!("s{number}")).collect();

        let gone = join_all(names.iter().map(|name| enter(&seats, name, 1))).await;

        let gone: Vec<String> = gone.into_iter().flatten().collect();
        let mut all = seats.taken("o").await.unwrap();
        assert_eq!(all.len(), 5);
        all.extend(gone);
        all.sort();
        let mut expected = names;
        expected.sort();
        assert_eq!(all, expected);
    }
}
