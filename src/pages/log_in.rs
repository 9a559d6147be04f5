//! What the pages of a login by QR code are made of.

use std::time::Duration;

/// P1, and P2 where the browser of a phone logs in by it.
#[derive(Clone, Debug)]
pub struct LogIn {
    /// The browser is a phone's: the code is for another phone, its address for WeChat on this one.
    pub in_phone: bool,
    /// Every way to log in, as links; shown where there is more than one.
    pub tabs: Vec<LogInTab>,
    /// The open way to log in.
    pub pane: LogInPane,
}

/// A link to a way to log in.
#[derive(Clone, Debug)]
pub struct LogInTab {
    /// Which.
    pub method: LogInMethod,
    /// Where it is.
    pub url: String,
    /// It is the one that is shown.
    pub is_open: bool,
}

/// Ways to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogInMethod {
    /// WeChat's own code.
    Website,
    /// A code of ours.
    Scan,
    /// The account's own code.
    Follow,
}

/// A way to log in.
#[derive(Clone, Debug)]
pub enum LogInPane {
    /// WeChat's own page.
    Website {
        /// The page in a frame; `None` where WeChat would send the frame back to another host than ours.
        frame: Option<LogInFrame>,
        /// The same for the whole window.
        page_url: String,
    },
    /// A code of ours, to be confirmed on a phone.
    Scan {
        /// The code is the account's own: whoever reads it follows the account, and finds the way on in its message.
        follows: bool,
        /// What the code holds; `None` where there is none to show.
        code: Option<String>,
        /// Where the page asks in WeChat, for those who have it on this device; `None` where there is no code, and for the account's.
        address: Option<String>,
        /// How far it got.
        state: ScanState,
        /// Where a script asks for news; `None` where there will be none.
        status_url: Option<String>,
        /// Shows the same code and how far it got: where a browser without script goes every few seconds.
        page_url: Option<String>,
        /// Shows a fresh code.
        fresh_url: String,
    },
}

/// WeChat's page in a frame.
#[derive(Clone, Debug)]
pub struct LogInFrame {
    /// What the frame loads.
    pub url: String,
    /// What the content security policy must let into a frame.
    pub origin: String,
}

/// How far a code got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanState {
    /// Nobody scanned it.
    Waiting,
    /// Somebody did, and is to choose this number.
    Scanned {
        /// `None` where a button is enough.
        number: Option<u8>,
    },
    /// The phone said yes. Only a script shows this.
    Confirmed,
    /// The phone said no.
    Denied,
    /// Too old.
    Expired,
    /// No connection. Only a script shows this.
    Offline,
    /// Asked too often. Only a script shows this.
    Limited {
        /// How long to wait.
        wait: Duration,
    },
}

/// P4: what the phone asks.
#[derive(Clone, Debug)]
pub struct ConfirmScan {
    /// The other browser, where it is a known one.
    pub browser: Option<String>,
    /// Its system, where it is a known one.
    pub system: Option<String>,
    /// The part of its address that names a network.
    pub network: String,
    /// How long the visitor has, in seconds.
    pub seconds: u64,
    /// The numbers to choose from; empty where a button is enough.
    pub numbers: Vec<u8>,
    /// Where the form posts.
    pub action_url: String,
    /// Proves that the form came from us.
    pub form_token: String,
}

/// P5: what came of a scanned code, on the phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanEnding {
    /// The other browser is logged in.
    Approved,
    /// The visitor pressed "cancel".
    Denied,
    /// The visitor did not draw the code.
    NotMe,
    /// The visitor chose another number.
    WrongNumber,
    /// The code is too old, used, or nobody's.
    Expired,
    /// Somebody else scanned it first.
    Taken,
    /// Too many wrong numbers.
    Limited,
    /// The visitor reported that network a while ago.
    Reported,
    /// The form did not come from our page.
    Forged,
}

impl ScanState {
    /// The word that templates and scripts know.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Scanned { .. } => "scanned",
            Self::Confirmed => "confirmed",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Offline => "offline",
            Self::Limited { .. } => "limited",
        }
    }
}

impl ScanEnding {
    /// Every ending.
    pub(super) const ALL: [Self; 9] = [
        Self::Approved,
        Self::Denied,
        Self::NotMe,
        Self::WrongNumber,
        Self::Expired,
        Self::Taken,
        Self::Limited,
        Self::Reported,
        Self::Forged,
    ];

    /// The word for logs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::NotMe => "not-me",
            Self::WrongNumber => "wrong-number",
            Self::Expired => "expired",
            Self::Taken => "taken",
            Self::Limited => "limited",
            Self::Reported => "reported",
            Self::Forged => "forged",
        }
    }

    /// Its name in the gallery.
    pub(super) fn sample(self) -> &'static str {
        match self {
            Self::Approved => "scan-ended-approved",
            Self::Denied => "scan-ended-denied",
            Self::NotMe => "scan-ended-not-me",
            Self::WrongNumber => "scan-ended-wrong-number",
            Self::Expired => "scan-ended-expired",
            Self::Taken => "scan-ended-taken",
            Self::Limited => "scan-ended-limited",
            Self::Reported => "scan-ended-reported",
            Self::Forged => "scan-ended-forged",
        }
    }

    /// The stable code that people quote; `None` where the visitor got what he pressed.
    pub(super) fn code(self) -> Option<&'static str> {
        match self {
            Self::Approved | Self::Denied | Self::NotMe => None,
            Self::WrongNumber => Some("WXG-SCAN-NUMBER"),
            Self::Expired => Some("WXG-SCAN-EXPIRED"),
            Self::Taken => Some("WXG-SCAN-TAKEN"),
            Self::Limited => Some("WXG-SCAN-LIMIT"),
            Self::Reported => Some("WXG-SCAN-REPORTED"),
            Self::Forged => Some("WXG-SCAN-FORM"),
        }
    }
}
