//! `scan/status`: a script asks for news of its code, and waits for it.

use std::time::Duration;

use http::header::{RETRY_AFTER, SET_COOKIE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use super::ticket::{Ticket, TicketId};
use super::tickets::Seen;
use crate::limit::{Action, TooMany};
use crate::login::query::only;
use crate::login::{Error, Login, Visit};
use crate::message::{self, Answer};
use crate::pages::QrCode;

/// How long one request may wait for news.
const LONGEST_WAIT: Duration = Duration::from_secs(25);

/// How often the store is asked: a phone that another node answers wakes nobody here.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// When to come back where every place to wait in is taken, in seconds.
const COME_BACK_AFTER: u64 = 5;

/// The answer to a script. The names are part of the product: fields may be added, none changes.
#[derive(Default, Serialize)]
struct Status {
    /// `waiting`, `scanned`, `confirmed`, `denied`, `expired` or `limited`.
    state: &'static str,
    /// To be chosen on the phone.
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<u8>,
    /// Where to go, when confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    /// Another code to show instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<Code>,
    /// How long to wait, when limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<u64>,
}

/// A code as a script draws it.
#[derive(Serialize)]
struct Code {
    qr: QrCode,
    /// Where the page asks in WeChat; none for the account's own code.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    status_url: String,
}

impl Login {
    /// Answers `scan/status` as soon as the state is another one than `seen`, and after 25 seconds at the latest; at once
    /// when the process drains. Dropping the future may lose a login that was confirmed; the visitor scans again.
    pub(in crate::login) async fn scan_status(&self, visit: &Visit<'_>) -> Result<Answer, Error> {
        let query = visit.info.target.query().unwrap_or_default();
        let id = only(query, "id").and_then(TicketId::parse);
        let secret = self.scan_cookie.read(visit.headers);
        let (Some(id), Some(secret)) = (id, secret) else {
            return Ok(answer_of(&Status::of("expired")));
        };
        let limits = &self.parts.limits;
        let client = visit.info.client;
        if let Err(TooMany { retry_after }) =
            limits.admit_ticket(Action::ScanPoll, id.as_str(), client, visit.now)
        {
            self.parts.metrics.rate_limited(Action::ScanPoll.rule());
            return Ok(limited(retry_after));
        }
        let host = visit.info.host.as_str();
        let look = async || {
            let now = self.parts.clock.now();
            let seen = self.tickets.look(&id, &secret, host, now).await?;
            Ok::<_, Error>(self.with_renewed_code(seen, visit).await)
        };
        let known = only(query, "seen").unwrap_or_default();
        let mut seen = look().await?;
        // Who may not know the ticket takes nobody's place.
        if seen.word() == known && seen.can_change() {
            let Some(place) = self.tickets.waiting.enter(&id) else {
                return Ok(come_back(self.tell(seen, visit).await?));
            };
            let mut guard = self.parts.drain.guard();
            let deadline = Instant::now() + LONGEST_WAIT;
            let mut is_over = false;
            loop {
                seen = look().await?;
                if seen.word() != known || !seen.can_change() || is_over {
                    break;
                }
                let next = deadline.min(Instant::now() + LOOK_EVERY);
                is_over = tokio::select! {
                    () = place.news() => true,
                    () = guard.stopping() => true,
                    () = sleep_until(next) => next == deadline,
                };
            }
        }
        self.tell(seen, visit).await
    }

    async fn tell(&self, seen: Seen, visit: &Visit<'_>) -> Result<Answer, Error> {
        let word = seen.word();
        Ok(match seen {
            Seen::Waiting(_) | Seen::Denied | Seen::Expired => answer_of(&Status::of(word)),
            Seen::Scanned(ticket) => answer_of(&Status {
                number: self.number(&ticket),
                ..Status::of(word)
            }),
            Seen::Renewed(ticket) => answer_of(&Status {
                code: self.code(&ticket, visit),
                ..Status::of(word)
            }),
            Seen::Collected(collected) => match self.collect(&collected, visit).await? {
                None => answer_of(&Status::of("expired")),
                Some(cookie) => {
                    let mut answer = answer_of(&Status {
                        to: Some(collected.ticket.wish.target),
                        ..Status::of(word)
                    });
                    answer.headers_mut().append(SET_COOKIE, cookie);
                    answer
                }
            },
        })
    }

    fn code(&self, ticket: &Ticket, visit: &Visit<'_>) -> Option<Code> {
        let (code, address) = self.drawn(ticket, visit);
        Some(Code {
            qr: QrCode::new(&code)?,
            address,
            status_url: self.status_url(ticket),
        })
    }
}

impl Seen {
    /// The word that scripts know.
    fn word(&self) -> &'static str {
        match self {
            Self::Waiting(_) | Self::Renewed(_) => "waiting",
            Self::Scanned(_) => "scanned",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Collected(_) => "confirmed",
        }
    }

    /// Whether it is worth waiting: there is nothing to tell yet, and there may be.
    fn can_change(&self) -> bool {
        match self {
            Self::Waiting(_) | Self::Scanned(_) => true,
            Self::Renewed(_) | Self::Denied | Self::Expired | Self::Collected(_) => false,
        }
    }
}

impl Status {
    fn of(state: &'static str) -> Self {
        Self {
            state,
            ..Self::default()
        }
    }
}

fn answer_of(status: &Status) -> Answer {
    message::json(StatusCode::OK, "scan-status", status)
}

fn limited(retry_after: Duration) -> Answer {
    let seconds = retry_after.as_secs().max(1);
    let status = Status {
        seconds: Some(seconds),
        ..Status::of("limited")
    };
    let mut answer = message::json(StatusCode::TOO_MANY_REQUESTS, "rate-limited", &status);
    let headers = answer.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    answer
}

/// The truth of now, and when to ask again.
fn come_back(mut answer: Answer) -> Answer {
    let headers = answer.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from(COME_BACK_AFTER));
    answer
}
