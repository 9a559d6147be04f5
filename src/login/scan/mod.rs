//! Logging a browser in by confirming on a phone.
//!
//! A QR code holds a public id and nothing else. Whoever scans it logs in on the phone and confirms there; only the browser
//! that drew the code, and holds the secret in its cookie, can collect the session, once.
//!
//! `ticket` is what a code stands for, `tickets` what may become of it, `page` and `status` the browser's side, `phone` the
//! other side, `waiting` the requests that are held open, `follow` codes of the account itself.

mod cookie;
mod count;
mod device;
mod follow;
mod keys;
mod numbers;
mod page;
mod phone;
mod phone_answer;
mod query;
mod secret;
mod status;
mod suspicion;
mod ticket;
mod tickets;
mod waiting;

pub(super) use cookie::ScanCookie;
pub use count::ScanCounts;
pub(super) use follow::ScannedScene;
pub(super) use query::ScanQuery;
pub use ticket::TicketId;
pub(super) use tickets::Tickets;

/// What the phone asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanConfirm {
    /// The number that the other browser shows, among three. Who was only shown a picture of a code cannot know it.
    MatchNumber,
    /// A button.
    Button,
}

/// What it means that somebody read the account's own code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowConsent {
    /// Nothing yet: the account answers with a link to the page that asks.
    Confirm,
    /// Consent. Whoever gets somebody to read a picture of a code is logged in as that person.
    Scan,
}

/// For phone browsers outside WeChat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MobileBrowser {
    /// A page that says how to open the address in WeChat.
    OpenInWechat,
    /// The same page as for desktop browsers: confirm in WeChat, go on here.
    Scan,
}
