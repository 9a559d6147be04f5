//! What WeChat's numbers mean to an operator: cause, fix and menu path.
//!
//! From WeChat's list of return codes and from what operators report. Pages of WeChat's own show numbers from 10003 on;
//! the gateway never sees those.

use super::finding::Finding;
use crate::wechat;

/// Cause and next step.
struct Meaning {
    cause: &'static str,
    fix: &'static str,
}

/// A number that somebody saw.
pub(super) fn finding(code: i64) -> Finding {
    let mut finding = match meaning(code) {
        Some(Meaning { cause, fix }) => Finding::ok(format!("code {code}"), cause).fix(fix),
        None => Finding::skip(
            format!("code {code}"),
            "is not a code that this program knows",
        ),
    };
    finding.code = Some(code);
    finding
}

/// An error of a call. Where the call is not needed for logging in, it is a warning only.
pub(super) fn of_error(what: String, error: &wechat::Error, is_needed: bool) -> Finding {
    let new = |said: String| match is_needed {
        true => Finding::fail(what.clone(), said),
        false => Finding::warn(what.clone(), said),
    };
    let mut finding = match error {
        wechat::Error::AddressNotListed { address } => {
            let address = address.map_or("of this machine".to_owned(), |ip| ip.to_string());
            new(format!(
                "WeChat takes no calls from the address {address} (40164). Plain login does not need them; JS-SDK, follow \
                 and the app-wide token do"
            ))
            .fix(format!(
                "add {address} at mp.weixin.qq.com: 设置与开发 > 开发接口管理 > 基本配置 > IP白名单; or send the calls through \
                 a machine that is listed, with wechat_api.proxy"
            ))
        }
        wechat::Error::Refused { code, .. } => match meaning(*code) {
            Some(Meaning { cause, fix }) => new(format!("{cause} ({code})")).fix(fix),
            None => {
                new(error.to_string()).fix("look the number up in WeChat's list of return codes")
            }
        },
        wechat::Error::Unreachable(_) | wechat::Error::Timeout(_) => new(format!("{error}"))
            .fix("open the way to api.weixin.qq.com:443 (DNS, firewall), or set wechat_api.proxy"),
        _ => new(format!("{error}"))
            .fix("look at wechat_api.base_url and wechat_api.proxy: something else answers there"),
    };
    finding.code = error.code();
    finding
}

/// Whether a number says that the AppSecret is not the account's.
pub(super) fn is_about_secret(code: i64) -> bool {
    matches!(code, 40001 | 40125 | 40243)
}

fn meaning(code: i64) -> Option<Meaning> {
    let (cause, fix) = match code {
        -1 => (
            "WeChat is busy",
            "try again; it was tried three times already",
        ),
        10003 => (
            "the host of redirect_uri is not a web-authorization domain of the account",
            "enter the host alone, without https:// and path, at mp.weixin.qq.com: 设置与开发 > 接口权限 > 网页授权 > \
             网页授权域名 (not the JS domain); or list it in relay.hosts",
        ),
        10004 | 10015 => (
            "the account is blocked, or has not authorised the third-party platform",
            "ask WeChat's support, or use the account's own AppSecret",
        ),
        10005 => (
            "this kind of account cannot authorise in web pages: a subscription or unverified account, or a website app \
             opened in WeChat",
            "use a verified service account, and let `kind` say what the app is",
        ),
        10006 => (
            "a test account: the visitor must follow it first",
            "scan the QR code on the page of the test account",
        ),
        10009 => ("too many tries", "wait a minute"),
        10010..=10013 => (
            "scope, redirect_uri, appid or state did not arrive",
            "something on the way changes the address: look for a proxy that rewrites redirects",
        ),
        10016 => (
            "an appid of the open platform is used as service account",
            "swap `kind`, or the appid",
        ),
        10039 => (
            "the scheme of redirect_uri is not the registered one",
            "use https in server.public_url",
        ),
        code if is_about_secret(code) => (
            "the AppSecret is wrong, or was reset or frozen",
            "compare it with mp.weixin.qq.com: 设置与开发 > 开发接口管理 > 基本配置 > AppSecret",
        ),
        40013 => (
            "WeChat does not know the appid",
            "compare app_id with the console, letter case too",
        ),
        40014 | 42001 => (
            "another system of yours made the app-wide token void",
            "use token_mode = \"stable\", and let the other system read GET /token/<app>",
        ),
        40165 => (
            "the mini program has no such page, or is not published",
            "compare login.mini_program_link.page with the pages in app.json, and publish the mini program",
        ),
        40029 | 40163 | 41008 => (
            "a code was wrong, used before, or missing",
            "nothing, when it happens now and then: visitors reload pages and share links",
        ),
        40164 => (
            "WeChat takes no calls from this machine's address",
            "add it at mp.weixin.qq.com: 设置与开发 > 开发接口管理 > 基本配置 > IP白名单; or use wechat_api.proxy",
        ),
        40226 => (
            "WeChat takes the visitor for a risk and blocks the login",
            "nothing; the visitor is told",
        ),
        45009 => (
            "the day's quota of calls is used up",
            "wait until tomorrow, or reset it once with clear_quota at mp.weixin.qq.com: 设置与开发 > 接口权限",
        ),
        45011 => ("too many calls in a minute", "wait a minute"),
        48001 | 48004 => (
            "the account does not have this permission, or was used with a token that shows less",
            "look at mp.weixin.qq.com: 设置与开发 > 接口权限; a verified service account is needed",
        ),
        50002 => (
            "the user or the account is restricted",
            "ask WeChat's support",
        ),
        61024 => (
            "the account is run by a third-party platform, whose token is needed",
            "use the account's own AppSecret, or take the account back from the platform",
        ),
        89501 | 89503 => (
            "the account's administrator must confirm calls from this machine",
            "the administrator gets a message in WeChat: confirm it, then run doctor again",
        ),
        89506 => (
            "the administrator refused calls from this machine",
            "ask again after 24 hours",
        ),
        89507 => (
            "the administrator refused calls from this machine a moment ago",
            "ask again after an hour",
        ),
        _ => return None,
    };
    Some(Meaning { cause, fix })
}
