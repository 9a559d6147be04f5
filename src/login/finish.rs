//! After the exchange: a session, or the page that says why there is none.

use std::time::SystemTime;

use http::StatusCode;
use http::header::SET_COOKIE;

use super::address::fragment_key;
use super::attempt::Attempt;
use super::callback::{intent_again, retry};
use super::cookie::Kept;
use super::outcome::{Failure, Found, Outcome};
use super::redeem::Answered;
use super::{Login, SnapshotUser, Visit, guard};
use crate::identity::Person;
use crate::message::{Answer, Snapshot};
use crate::pages::{Cause, Page};
use crate::session::{self, NewSession, Session, SetCookie};
use crate::store;
use crate::wechat::{App, AppKind};

impl Login {
    /// Answers a callback whose code was exchanged.
    pub(super) async fn finish(
        &self,
        answered: Answered,
        app: &App,
        attempt: &Attempt,
        kept: &Kept,
        visit: &Visit<'_>,
    ) -> Answer {
        let answer = match answered.outcome {
            Outcome::Known(found) => self.start_session(found, app, attempt, kept, visit).await,
            Outcome::Snapshot => self.show_snapshot(attempt, kept, visit),
            Outcome::Failed(failure) => {
                let failure = weigh(failure, answered.is_replay);
                self.answer_failure(failure, app, attempt, kept, visit)
            }
        };
        if answered.is_replay {
            self.replayed(app, answer)
        } else {
            answer
        }
    }

    /// A session for whoever an exchange found.
    pub(super) async fn start_session(
        &self,
        found: Found,
        app: &App,
        attempt: &Attempt,
        kept: &Kept,
        visit: &Visit<'_>,
    ) -> Answer {
        let at = found.at;
        let new = NewSession {
            scope: found.scope,
            person: Person {
                app: app.name.clone(),
                app_id: app.id.clone(),
                openid: found.openid,
                unionid: found.unionid,
                profile: found.profile,
            },
            method: method_of(app.kind),
            refresh_token: found.refresh_token,
        };
        let cookie = match self.begin_session(new, at, visit).await {
            Ok(cookie) => cookie,
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::error!(request.id = %visit.info.id, error, "login needs the store");
                return self.answer_failure(Failure::Store, app, attempt, kept, visit);
            }
        };
        let mut answer = self.arrive(Some(attempt), visit);
        answer.headers_mut().append(SET_COOKIE, cookie);
        self.mark_completed(&mut answer, attempt, kept, visit);
        answer
    }

    /// Starts a session that began at this time; what the visitor's session of the same person knows is kept.
    pub(super) async fn begin_session(
        &self,
        new: NewSession,
        at: SystemTime,
        visit: &Visit<'_>,
    ) -> Result<SetCookie, store::Error> {
        let new = keep_what_is_known(new, visit.session);
        let starting = self.parts.sessions.start_from(new, at, visit.now);
        let (session, cookie) = starting.await?;
        let app = session.person.app.as_str();
        self.parts.metrics.session_created(app);
        Ok(cookie)
    }

    fn mark_completed(
        &self,
        answer: &mut Answer,
        attempt: &Attempt,
        kept: &Kept,
        visit: &Visit<'_>,
    ) {
        let mut ring = kept.clone().into_ring();
        ring.complete(&attempt.state, visit.now);
        let cookie = self.attempts.write(&ring);
        answer.headers_mut().append(SET_COOKIE, cookie);
    }

    /// On to the target, or to where the callback's address says if this browser's attempt is not known.
    ///
    /// The location ends in `#`: a browser carries the fragment of the address it comes from along, here WeChat's
    /// `#wechat_redirect`, unless the location has one of its own, be it empty (Fetch standard, HTTP-redirect fetch).
    pub(super) fn arrive(&self, attempt: Option<&Attempt>, visit: &Visit<'_>) -> Answer {
        let target = match attempt {
            Some(attempt) => attempt.target.clone(),
            None => self.way_back(visit),
        };
        if !self.settings.keep_fragment {
            return self.go("login-finished", &format!("{target}#"), visit);
        }
        let page = Page::RestoreFragment {
            key: fragment_key(visit.info.host.as_str(), &target),
            address: target,
        };
        self.page(StatusCode::OK, "login-restore-fragment", &page, visit)
    }

    /// P9, or the target without identity where that cannot go round in circles.
    fn show_snapshot(&self, attempt: &Attempt, kept: &Kept, visit: &Visit<'_>) -> Answer {
        let may_pass = self.settings.snapshot_user == SnapshotUser::Anonymous && !attempt.required;
        let mut answer = if may_pass {
            let mut answer = self.arrive(Some(attempt), visit);
            answer.extensions_mut().insert(Snapshot::Anonymous);
            answer
        } else {
            self.refuse_snapshot(visit)
        };
        self.mark_completed(&mut answer, attempt, kept, visit);
        answer
    }

    /// P9.
    pub(super) fn refuse_snapshot(&self, visit: &Visit<'_>) -> Answer {
        let mut answer = self.page(StatusCode::FORBIDDEN, "snapshot", &Page::Snapshot, visit);
        answer.extensions_mut().insert(Snapshot::Refused);
        answer
    }

    fn answer_failure(
        &self,
        failure: Failure,
        app: &App,
        attempt: &Attempt,
        kept: &Kept,
        visit: &Visit<'_>,
    ) -> Answer {
        let stop = |cause| self.not_finished(cause, Some(retry(Some(attempt), "/")), visit);
        match failure {
            // The session wants more or is old, and the code is over: it stands all the same. Marked, so that a next login
            // for the same target counts as the next round.
            Failure::Used if visit.session.is_some() => {
                let mut answer = self.arrive(Some(attempt), visit);
                self.mark_completed(&mut answer, attempt, kept, visit);
                answer
            }
            Failure::Stale | Failure::Used => match guard::next_round(attempt.state.round()) {
                Some(_) => self.begin_again(Some(attempt), attempt.state.round(), kept, visit),
                None => stop(Cause::LoginCode),
            },
            Failure::Consent => {
                let intent = intent_again(Some(attempt), 0, "/");
                self.show_purpose(app, &intent, visit)
            }
            Failure::Timeout => stop(Cause::WechatTimeout),
            Failure::Trouble | Failure::Scope => stop(Cause::WechatTrouble),
            Failure::Store => stop(Cause::StoreTrouble),
            Failure::Internal => stop(Cause::Internal),
            Failure::Setup => self.not_finished(Cause::LoginSetup, None, visit),
            Failure::Blocked => self.not_finished(Cause::LoginBlocked, None, visit),
        }
    }
}

/// How a callback of an app of this kind logs in.
fn method_of(kind: AppKind) -> session::Method {
    match kind {
        AppKind::Website => session::Method::Website,
        AppKind::ServiceAccount | AppKind::MiniProgram | AppKind::MobileApp => {
            session::Method::ServiceAccount
        }
    }
}

/// What a failure means to whoever sees it. A page of WeChat's trouble that is loaded again must not show the trouble
/// for as long as its outcome is kept: the code is gone, so a new login is the way on.
pub(super) fn weigh(failure: Failure, is_replay: bool) -> Failure {
    match failure {
        Failure::Timeout | Failure::Trouble if is_replay => Failure::Stale,
        other => other,
    }
}

/// A renewed login of the same person keeps profile and unionid, which `snsapi_base` does not tell again.
fn keep_what_is_known(mut new: NewSession, previous: Option<&Session>) -> NewSession {
    let is_same = |session: &&Session| {
        session.person.app_id == new.person.app_id && session.person.openid == new.person.openid
    };
    if let Some(previous) = previous.filter(is_same) {
        new.scope = new.scope.max(previous.scope);
        let known = &previous.person;
        new.person.unionid = new.person.unionid.or_else(|| known.unionid.clone());
        new.person.profile = new.person.profile.or_else(|| known.profile.clone());
    }
    new
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use crate::clock::from_unix_seconds;
    use crate::identity::Profile;
    use crate::login::judge::tests::session;
    use crate::wechat::{AppId, OpenId, Scope, UnionId};

    const NOW: u64 = 1_700_000_000;

    fn full_session() -> Session {
        let mut full = session(Scope::Userinfo, NOW - 7200);
        full.person.unionid = UnionId::parse("u-1");
        full.person.profile = Some(Profile {
            nickname: "明".to_owned(),
            avatar: String::new(),
            fetched_at: from_unix_seconds(NOW - 7200),
        });
        full
    }

    fn new_session(person: Person) -> NewSession {
        NewSession {
            person,
            scope: Scope::Base,
            method: session::Method::ServiceAccount,
            refresh_token: None,
        }
    }

    #[test]
    fn a_silent_login_of_the_same_person_keeps_the_profile() {
        let full = full_session();
        let bare = session(Scope::Base, NOW).person;

        let kept = keep_what_is_known(new_session(bare), Some(&full));

        assert_eq!(kept.scope, Scope::Userinfo);
        assert_eq!(kept.person, full.person);
    }

    #[test]
    fn another_person_gets_nothing_of_the_one_before() {
        let full = full_session();
        let bare = session(Scope::Base, NOW).person;
        let other_openid = Person {
            openid: OpenId::parse("o-other").unwrap(),
            ..bare.clone()
        };
        let other_app = Person {
            app_id: AppId::parse("wxother").unwrap(),
            ..bare
        };
        for person in [other_openid, other_app] {
            let kept = keep_what_is_known(new_session(person.clone()), Some(&full));
            assert_eq!(kept.scope, Scope::Base);
            assert_eq!(kept.person, person);
        }
    }

    #[test]
    fn a_new_profile_wins_over_the_old_one() {
        let full = full_session();
        let mut person = session(Scope::Userinfo, NOW).person;
        let fresh = Profile {
            nickname: "新".to_owned(),
            avatar: String::new(),
            fetched_at: from_unix_seconds(NOW),
        };
        person.profile = Some(fresh.clone());

        let kept = keep_what_is_known(new_session(person), Some(&full));

        assert_eq!(kept.person.profile, Some(fresh));
        assert_eq!(kept.person.unionid, full.person.unionid);
    }

    #[test]
    fn trouble_is_not_shown_again_on_reload() {
        assert_eq!(weigh(Failure::Timeout, false), Failure::Timeout);
        assert_eq!(weigh(Failure::Timeout, true), Failure::Stale);
        assert_eq!(weigh(Failure::Trouble, true), Failure::Stale);
        for failure in [
            Failure::Setup,
            Failure::Blocked,
            Failure::Used,
            Failure::Store,
        ] {
            assert_eq!(weigh(failure, true), failure);
        }
    }
}
