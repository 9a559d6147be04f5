//! The doctor's findings, for an operator who presses its button or asks with a program.

use std::pin::Pin;

use http::StatusCode;
use minijinja::context;
use minijinja::value::Serde;
use serde_json::Value as Json;

use super::control::{Control, done, failed};
use super::operator::Operator;
use super::page;
use crate::message::Answer;

const TEMPLATE: &str = include_str!("doctor.html");

/// One run: `{"findings": [{"what", "state", "said", "fix"}], "failed", "warned"}`, or why there is none.
pub type Examining = Pin<Box<dyn Future<Output = Result<Json, String>> + Send>>;

/// Looks at WeChat, the way here and the applications. Takes a bounded time, and refuses a run while another goes on.
pub type Doctor = Box<dyn Fn() -> Examining + Send + Sync>;

impl Control {
    /// `GET /doctor` in a browser: the button.
    pub(super) fn doctors_door(&self) -> Answer {
        self.doctors_page(None, None)
    }

    /// `POST /doctor`, as a page or as JSON.
    pub(super) async fn doctor(&self, operator: &Operator<'_>, wants_page: bool) -> Answer {
        operator.ordered("doctor", "");
        let examined = (self.doctor)().await;
        match (examined, wants_page) {
            (Ok(report), false) => done(&report),
            (Err(why), false) => failed(StatusCode::SERVICE_UNAVAILABLE, &why),
            (Ok(report), true) => self.doctors_page(Some(&report), None),
            (Err(why), true) => {
                let mut page = self.doctors_page(None, Some(&why));
                *page.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                page
            }
        }
    }

    fn doctors_page(&self, report: Option<&Json>, error: Option<&str>) -> Answer {
        let file = &self.generation.file;
        page::html(
            TEMPLATE,
            context! { report => report.map(Serde), error, file },
        )
    }
}
