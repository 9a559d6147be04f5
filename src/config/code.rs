//! The stable code of every kind of problem. `src/docs/errors.md` explains each; a test compares the two.

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used, but somebody should look.
    Warning,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])* $name:ident = $code:literal;)*) => {
        /// The kind of a problem. Codes never change their meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $($(#[doc = $doc])* $name,)*
        }

        impl Code {
            /// Every code there is.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// As people quote it: `E104`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }
        }
    };
}

codes! {
    /// The text is not TOML.
    Syntax = "E101";
    /// A value stands in Chinese quotation marks.
    ChineseQuotes = "E102";
    /// No such section.
    UnknownSection = "E103";
    /// No such key.
    UnknownKey = "E104";
    /// A number where text belongs, and the like.
    WrongType = "E105";
    /// A key that must be given is not.
    MissingKey = "E106";
    /// `[routes]` where `[[routes]]` belongs.
    SingleTable = "E107";
    /// Another format than version 1.
    UnknownVersion = "E108";
    /// The configuration file itself cannot be read.
    UnreadableConfig = "E109";
    /// No app of this name.
    UnknownApp = "E201";
    /// No upstream of this name.
    UnknownUpstream = "E202";
    /// Two routes match the same requests with equal rank.
    RouteTie = "E203";
    /// No request can ever get to this route.
    UnreachableRoute = "E204";
    /// No list of this name.
    UnknownList = "E205";
    /// None, or more than one, of `path`, `path_exact` and `path_glob`.
    PathChoice = "E206";
    /// A path that no request can have.
    BadPath = "E207";
    /// A name that is given twice or holds letters that names cannot have.
    BadName = "E208";
    /// A route needs a login and no app can do one.
    NoLoginApp = "E209";
    /// Several service accounts, and nobody said which one logs visitors in.
    AmbiguousApp = "E210";
    /// A route that is only judged for a proxy in front, and what contradicts that.
    OnlyJudged = "E211";
    /// An upstream that is the gateway itself.
    LeadsBack = "E212";
    /// A word that the key does not know.
    UnknownWord = "E301";
    /// Not a duration, or one out of bounds.
    BadDuration = "E302";
    /// Not a size, or one out of bounds.
    BadSize = "E303";
    /// Not an address with a port.
    BadAddress = "E304";
    /// Not an address range.
    BadNetwork = "E305";
    /// Not a URL of the form that is needed here.
    BadUrl = "E306";
    /// A number out of bounds.
    OutOfRange = "E307";
    /// A header name or value that no message can carry.
    BadHeader = "E308";
    /// Not a host name.
    BadHost = "E309";
    /// Text of another form than the key needs.
    BadText = "E310";
    /// An id or a line of a list that is none.
    BadListEntry = "E311";
    /// An environment variable that is not set or empty.
    NoVariable = "E312";
    /// A file that cannot be read.
    UnreadableFile = "E313";
    /// A plain-text secret in a file that everybody on the machine can read.
    ExposedSecret = "E314";
    /// Plain http where visitors or secrets need https.
    NotHttps = "E315";
    /// A cookie name that does not fit the scheme of the site.
    BadCookieName = "E316";
    /// Two times that contradict each other.
    TimesContradict = "E317";
    /// A key that is too short or no key.
    BadKey = "E318";
    /// A header that nobody but the gateway may set, or nobody at all.
    ProtectedHeader = "E319";
    /// Two facts would share one header.
    HeaderTwice = "E320";
    /// The admin listener is reachable from elsewhere and has no token.
    AdminNeedsToken = "E321";
    /// Two listeners on one address.
    AddressTwice = "E322";
    /// A certificate whose time is over.
    ExpiredCertificate = "E324";
    /// Two keys that contradict each other, or one that does nothing without another.
    KeysContradict = "E331";
    /// A file without a usable certificate.
    BadCertificate = "E340";
    /// A file without a private key, or with the key of another certificate.
    BadTlsKey = "E341";
    /// A valid key that this version cannot serve yet.
    NotAvailable = "E401";
    /// A secret in plain text.
    PlainSecret = "W301";
    /// Everybody is trusted to say who the client is.
    TrustsEverybody = "W302";
    /// A list of openids on a site with several apps: an openid means nothing to another app.
    OnlyOpenids = "W303";
    /// An allow list that lets nobody in.
    EmptyAllowList = "W304";
    /// WeChat's secrets go to a relay over plain http.
    PlainRelay = "W305";
    /// A control character in a file path, as `"C:\temp"` has.
    ControlCharacter = "W306";
    /// A certificate that ends within 30 days.
    CertificateEndsSoon = "W307";
    /// An AppSecret with blanks or quotation marks around it.
    QuotedSecret = "W308";
    /// Visitors can log in in desktop browsers and not in WeChat.
    NobodyInWechat = "W309";
    /// Nobody checks whether an upstream's server is the right one.
    UncheckedServer = "W310";
}

impl Code {
    /// How bad every problem of this kind is.
    pub fn severity(self) -> Severity {
        if self.as_str().starts_with('W') {
            Severity::Warning
        } else {
            Severity::Error
        }
    }
}
