//! The words of each page.

use super::{Phrase, Word, account, cause, client, confirm, first_run, phrase, scan};
use crate::pages::Page;

/// Every word a page's template may use, in all languages.
pub(in crate::pages) fn words(page: &Page) -> Vec<Word> {
    let mut words = COMMON.to_vec();
    match page {
        Page::LogIn(page) => words.extend(scan::log_in(page)),
        Page::LeaveFrame { .. } => words.extend(scan::LEAVE_FRAME),
        Page::FirstRun { .. } => words.extend(first_run::FIRST_RUN),
        Page::ConfirmScan(_) => words.extend(confirm::CONFIRM),
        Page::ScanEnded { ending } => words.extend(confirm::ended(*ending)),
        Page::Purpose { .. } => words.extend(PURPOSE),
        Page::NotFinished { cause, .. } | Page::Trouble { cause } | Page::Refused { cause, .. } => {
            words.push(("title", cause::title(*cause)));
            words.push(("lead", cause::lead(*cause)));
            words.extend(TROUBLE);
        }
        Page::WrongClient { needs, .. } => {
            words.extend(client::words(*needs));
            words.extend(client::ADDRESS);
        }
        Page::Denied { account, .. } => {
            words.push(("lead", denied(account.is_some())));
            words.extend(DENIED);
        }
        Page::Snapshot => words.extend(SNAPSHOT),
        Page::Account { .. } => words.extend(account::ACCOUNT),
        Page::NobodyLoggedIn { .. } => words.extend(account::NOBODY),
        Page::ConfirmLogout { .. } => words.extend(account::CONFIRM_LOGOUT),
        Page::LoggedOut { inside_wechat, .. } => {
            words.push(("lead", account::logged_out(*inside_wechat)));
            words.extend(account::LOGGED_OUT);
        }
        Page::BreakOut { .. } => words.extend(BREAK_OUT),
        Page::SaveFragment { .. } => words.extend(SAVE_FRAGMENT),
        Page::RestoreFragment { .. } => words.extend(RESTORE_FRAGMENT),
    }
    words
}

const COMMON: [Word; 7] = [
    ("languages", phrase("语言", "語言", "Language")),
    ("code", phrase("原因代码", "原因代碼", "Code")),
    ("request_id", phrase("请求编号", "請求編號", "Request id")),
    ("time", phrase("时间", "時間", "Time")),
    ("contact", phrase("联系网站：", "聯絡網站：", "Contact: ")),
    (
        "home",
        phrase("回到首页", "回到首頁", "Go to the home page"),
    ),
    (
        "hint",
        phrase("给管理员的提示", "給管理員的提示", "For the operator"),
    ),
];

const PURPOSE: [Word; 7] = [
    (
        "title",
        phrase("使用微信登录", "使用微信登入", "Log in with WeChat"),
    ),
    (
        "lead",
        phrase(
            "“{site}”希望用你的微信资料为你登录。",
            "「{site}」希望以你的微信資料為你登入。",
            "{site} would like to log you in with your WeChat profile.",
        ),
    ),
    ("asks", phrase("将会获取", "將會取得", "It will receive")),
    (
        "profile",
        phrase(
            "你的微信昵称和头像",
            "你的微信暱稱和頭像",
            "Your WeChat name and picture",
        ),
    ),
    (
        "privacy",
        phrase(
            "不会获取你的手机号、好友或聊天记录。",
            "不會取得你的手機號碼、好友或聊天記錄。",
            "It will not see your phone number, friends or chats.",
        ),
    ),
    (
        "continue",
        phrase("使用微信继续", "使用微信繼續", "Continue with WeChat"),
    ),
    (
        "without_profile",
        phrase(
            "不提供昵称和头像",
            "不提供暱稱和頭像",
            "Without name and picture",
        ),
    ),
];

const TROUBLE: [Word; 3] = [
    (
        "retry_login",
        phrase("重新登录", "重新登入", "Log in again"),
    ),
    ("again", phrase("再试一次", "再試一次", "Try again")),
    (
        "reloading",
        phrase(
            "10 秒后会自动再试一次。",
            "10 秒後會自動再試一次。",
            "This page tries once more in 10 seconds.",
        ),
    ),
];

/// For waits below two minutes.
pub(in crate::pages) const WAIT_SECONDS: Phrase = phrase(
    "大约 {seconds} 秒后可以再试。",
    "大約 {seconds} 秒後可以再試。",
    "You can try again in about {seconds} s.",
);

/// For longer waits.
pub(in crate::pages) const WAIT_MINUTES: Phrase = phrase(
    "大约 {minutes} 分钟后可以再试。",
    "大約 {minutes} 分鐘後可以再試。",
    "You can try again in about {minutes} minutes.",
);

const DENIED: [Word; 4] = [
    (
        "title",
        phrase("没有访问权限", "沒有存取權限", "You have no access"),
    ),
    ("account", phrase("你的账号", "你的帳號", "Your account")),
    (
        "ask",
        phrase(
            "需要开通的话，请把下面的信息发给网站管理员。",
            "如需開通，請將以下資訊傳給網站管理員。",
            "If you should have access, send the details below to the people who run the site.",
        ),
    ),
    ("switch", phrase("切换账号", "切換帳號", "Switch account")),
];

fn denied(somebody: bool) -> Phrase {
    if somebody {
        phrase(
            "你已登录，但这个账号不能访问“{site}”的这个页面。",
            "你已登入，但這個帳號不能存取「{site}」的這個頁面。",
            "You are logged in, but this account may not open this page of {site}.",
        )
    } else {
        phrase(
            "“{site}”不允许从这里访问这个页面。",
            "「{site}」不允許從這裡存取這個頁面。",
            "{site} does not allow this page to be opened from here.",
        )
    }
}

const SNAPSHOT: [Word; 5] = [
    (
        "title",
        phrase(
            "你正在浏览网页快照",
            "你正在瀏覽網頁快照",
            "You are looking at a preview",
        ),
    ),
    (
        "lead",
        phrase(
            "微信先打开了“{site}”的快照，在快照里无法登录。",
            "微信先開啟了「{site}」的快照，在快照中無法登入。",
            "WeChat opened a snapshot of {site} first. Nobody can log in inside it.",
        ),
    ),
    (
        "how",
        phrase(
            "请点击屏幕右下角的“使用完整服务”。",
            "請點選螢幕右下角的「使用完整服務」。",
            "Tap 使用完整服务 (use full service) at the lower right of the screen.",
        ),
    ),
    (
        "button",
        phrase("使用完整服务", "使用完整服務", "使用完整服务"),
    ),
    (
        "drawing",
        phrase(
            "示意图：手机屏幕右下角的“使用完整服务”按钮",
            "示意圖：手機螢幕右下角的「使用完整服務」按鈕",
            "Drawing: the button 使用完整服务 at the lower right of a phone's screen",
        ),
    ),
];

const BREAK_OUT: [Word; 3] = [
    (
        "title",
        phrase(
            "请在完整页面中登录",
            "請在完整頁面中登入",
            "Log in on the full page",
        ),
    ),
    (
        "lead",
        phrase(
            "微信登录不能在嵌入的窗口里进行。",
            "微信登入不能在嵌入的視窗中進行。",
            "WeChat login does not work inside an embedded frame.",
        ),
    ),
    ("continue", phrase("继续登录", "繼續登入", "Continue")),
];

const SAVE_FRAGMENT: [Word; 3] = [
    (
        "title",
        phrase(
            "正在前往微信登录",
            "正在前往微信登入",
            "Taking you to WeChat",
        ),
    ),
    ("lead", phrase("马上就好。", "馬上就好。", "One moment.")),
    ("continue", phrase("继续", "繼續", "Continue")),
];

const RESTORE_FRAGMENT: [Word; 3] = [
    ("title", phrase("登录成功", "登入成功", "You are logged in")),
    (
        "lead",
        phrase(
            "正在返回“{site}”。",
            "正在返回「{site}」。",
            "Taking you back to {site}.",
        ),
    ),
    ("continue", phrase("继续", "繼續", "Continue")),
];
