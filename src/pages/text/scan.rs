//! The words of a login by QR code, in the browser that shows it.

use super::{Phrase, Word, phrase};
use crate::pages::log_in::{LogIn, LogInMethod, LogInPane, ScanState};

const WAITING: Phrase = phrase(
    "请使用微信扫一扫登录",
    "請使用微信掃一掃登入",
    "Scan with WeChat to log in",
);
const SCANNED: Phrase = phrase(
    "扫描成功，请在手机上选择这个数字",
    "掃描成功，請在手機上選擇這個數字",
    "Scanned. Choose this number on your phone",
);
const SCANNED_BUTTON: Phrase = phrase(
    "扫描成功，请在手机上确认",
    "掃描成功，請在手機上確認",
    "Scanned. Confirm on your phone",
);
const FOLLOWED: Phrase = phrase(
    "扫描成功，请打开公众号发来的链接，选择这个数字",
    "掃描成功，請開啟公眾號傳來的連結，選擇這個數字",
    "Scanned. Open the link that the account sent you and choose this number",
);
const FOLLOWED_BUTTON: Phrase = phrase(
    "扫描成功，请打开公众号发来的链接，在那里确认",
    "掃描成功，請開啟公眾號傳來的連結，在那裡確認",
    "Scanned. Open the link that the account sent you and confirm there",
);
const CONFIRMED: Phrase = phrase(
    "登录成功，正在跳转",
    "登入成功，正在跳轉",
    "Logged in, one moment",
);
const DENIED: Phrase = phrase(
    "已取消，可重新扫码",
    "已取消，可重新掃碼",
    "Cancelled. You can scan again",
);
const EXPIRED: Phrase = phrase("二维码已失效", "QR\u{a0}碼已失效", "This code has expired");
const OFFLINE: Phrase = phrase(
    "网络不通，正在重试",
    "網路不通，正在重試",
    "No connection, trying again",
);
const LIMITED: Phrase = phrase(
    "操作太频繁，请 {seconds} 秒后再试",
    "操作太頻繁，請 {seconds} 秒後再試",
    "Too many tries, wait {seconds} s",
);

/// What is told in each state; all of them are there for the script.
pub(in crate::pages) fn told(state: ScanState, follows: bool) -> Phrase {
    match state {
        ScanState::Waiting => WAITING,
        ScanState::Scanned { number: Some(_) } if follows => FOLLOWED,
        ScanState::Scanned { number: None } if follows => FOLLOWED_BUTTON,
        ScanState::Scanned { number: Some(_) } => SCANNED,
        ScanState::Scanned { number: None } => SCANNED_BUTTON,
        ScanState::Confirmed => CONFIRMED,
        ScanState::Denied => DENIED,
        ScanState::Expired => EXPIRED,
        ScanState::Offline => OFFLINE,
        ScanState::Limited { .. } => LIMITED,
    }
}

/// Around the code.
const CODE: [Word; 12] = [
    ("waiting", WAITING),
    ("confirmed", CONFIRMED),
    ("denied", DENIED),
    ("expired", EXPIRED),
    ("offline", OFFLINE),
    ("limited", LIMITED),
    (
        "title",
        phrase("微信登录", "微信登入", "Log in with WeChat"),
    ),
    ("refresh", phrase("刷新", "重新整理", "Refresh")),
    (
        "qr",
        phrase(
            "用微信扫描的二维码",
            "用微信掃描的 QR\u{a0}碼",
            "QR code to scan with WeChat",
        ),
    ),
    (
        "on_this_device",
        phrase(
            "这台设备上有微信？在微信里打开此链接",
            "這台裝置上有微信？在微信中開啟此連結",
            "WeChat on this device? Open this link in it",
        ),
    ),
    (
        "why",
        phrase("为什么用微信？", "為什麼用微信？", "Why WeChat?"),
    ),
    (
        "privacy",
        phrase(
            "“{site}”用微信确认你是谁，不需要密码。它只会得到一个仅在本站有效的编号；需要昵称和头像时，会先在手机上问你。",
            "「{site}」以微信確認你是誰，不需要密碼。它只會取得一個僅在本站有效的編號；需要暱稱和頭像時，會先在手機上問你。",
            "{site} uses WeChat to know who you are, so you need no password. It only gets an id that is good for this site; for your name and picture it asks on your phone first.",
        ),
    ),
];

const BY_SCAN: [Word; 2] = [("scanned", SCANNED), ("scanned_button", SCANNED_BUTTON)];

/// Around the account's own code.
const BY_FOLLOWING: [Word; 3] = [
    ("scanned", FOLLOWED),
    ("scanned_button", FOLLOWED_BUTTON),
    (
        "lead",
        phrase(
            "用手机微信扫码并关注公众号，登录“{site}”。",
            "用手機微信掃碼並關注公眾號，登入「{site}」。",
            "Scan the code with WeChat on your phone and follow the account to log in to {site}.",
        ),
    ),
];

const TABS: Word = ("tabs", phrase("登录方式", "登入方式", "Ways to log in"));

const ON_A_COMPUTER: Word = (
    "lead",
    phrase(
        "用手机微信扫码，登录“{site}”。",
        "用手機微信掃碼，登入「{site}」。",
        "Scan the code with WeChat on your phone to log in to {site}.",
    ),
);

const ON_A_PHONE: [Word; 6] = [
    (
        "lead",
        phrase(
            "在微信中确认，然后回到这里，登录“{site}”。",
            "在微信中確認，然後回到這裡，登入「{site}」。",
            "Confirm in WeChat, then come back here, to log in to {site}.",
        ),
    ),
    (
        "by_link",
        phrase(
            "复制链接，在微信里发给“文件传输助手”，点开它。再回到这里看数字。",
            "複製連結，在微信中傳給「檔案傳輸助手」，點開它。再回到這裡看數字。",
            "Copy the link, send it to File Transfer in WeChat and tap it there. Then come back here for the number.",
        ),
    ),
    (
        "by_qr",
        phrase(
            "或者用另一部手机的微信扫描。",
            "或用另一支手機的微信掃描。",
            "Or scan the code with WeChat on another phone.",
        ),
    ),
    ("copy", phrase("复制链接", "複製連結", "Copy the link")),
    ("copied", phrase("已复制", "已複製", "Copied")),
    (
        "copy_failed",
        phrase(
            "没能自动复制，请长按链接手动复制",
            "無法自動複製，請長按連結手動複製",
            "Could not copy. Please select the link and copy it by hand",
        ),
    ),
];

/// Around WeChat's frame.
const FRAME: [Word; 4] = [
    (
        "lead",
        phrase(
            "用手机微信扫码，或在电脑版微信中确认，登录“{site}”。",
            "用手機微信掃碼，或在電腦版微信中確認，登入「{site}」。",
            "Scan the code with WeChat on your phone, or confirm in WeChat on this computer, to log in to {site}.",
        ),
    ),
    (
        "frame",
        phrase(
            "微信登录二维码",
            "微信登入 QR\u{a0}碼",
            "WeChat's QR code for logging in",
        ),
    ),
    (
        "open_page",
        phrase(
            "打开微信登录页面",
            "開啟微信登入頁面",
            "Open WeChat's login page",
        ),
    ),
    (
        "whole_page",
        phrase(
            "看不到二维码？在微信的页面上登录",
            "看不到 QR\u{a0}碼？在微信的頁面上登入",
            "No code here? Log in on WeChat's own page",
        ),
    ),
];

/// The name of a way to log in.
pub(in crate::pages) fn tab(method: LogInMethod) -> Phrase {
    match method {
        LogInMethod::Website => phrase("微信快捷登录", "微信快捷登入", "WeChat's code"),
        LogInMethod::Follow => phrase("关注公众号", "關注公眾號", "Follow the account"),
        LogInMethod::Scan => phrase("扫码确认", "掃碼確認", "Confirm on a phone"),
    }
}

/// The callback in a frame.
pub(super) const LEAVE_FRAME: [Word; 3] = [
    ("title", phrase("正在登录", "正在登入", "Logging you in")),
    (
        "lead",
        phrase("请稍候。", "請稍候。", "One moment, please."),
    ),
    ("continue", phrase("继续", "繼續", "Continue")),
];

/// P1, or P2.
pub(super) fn log_in(page: &LogIn) -> Vec<Word> {
    let mut words = CODE.to_vec();
    match page.pane {
        LogInPane::Website { .. } => words.extend(FRAME),
        LogInPane::Scan { follows: true, .. } => words.extend(BY_FOLLOWING),
        LogInPane::Scan { .. } => {
            words.extend(BY_SCAN);
            match page.in_phone {
                true => words.extend(ON_A_PHONE),
                false => words.push(ON_A_COMPUTER),
            }
        }
    }
    words.push(TABS);
    words
}
