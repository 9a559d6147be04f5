//! The words of a login by QR code, on both devices.

use super::{Phrase, Word, phrase};
use crate::pages::log_in::{LogIn, LogInMethod, LogInPane, ScanEnding, ScanState};

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
const EXPIRED: Phrase = phrase("二维码已失效", "QR 碼已失效", "This code has expired");
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
pub(in crate::pages) fn told(state: ScanState) -> Phrase {
    match state {
        ScanState::Waiting => WAITING,
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
const CODE: [Word; 14] = [
    ("waiting", WAITING),
    ("scanned", SCANNED),
    ("scanned_button", SCANNED_BUTTON),
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
            "用微信掃描的 QR 碼",
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
            "Copy the link, send it to “File Transfer” in WeChat and tap it there. Then come back here for the number.",
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
const FRAME: [Word; 3] = [
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
            "微信登入 QR 碼",
            "WeChat's QR code for logging in",
        ),
    ),
    (
        "whole_page",
        phrase(
            "看不到二维码？在微信的页面上登录",
            "看不到 QR 碼？在微信的頁面上登入",
            "No code here? Log in on WeChat's own page",
        ),
    ),
];

/// The name of a way to log in.
pub(in crate::pages) fn tab(method: LogInMethod) -> Phrase {
    match method {
        LogInMethod::Website => phrase("微信快捷登录", "微信快捷登入", "WeChat's code"),
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
        LogInPane::Scan { .. } if page.in_phone => words.extend(ON_A_PHONE),
        LogInPane::Scan { .. } => words.push(ON_A_COMPUTER),
    }
    words.push(TABS);
    words
}

/// How long the phone's visitor has.
pub(in crate::pages) const SECONDS_LEFT: Phrase = phrase(
    "请在 {seconds} 秒内完成",
    "請在 {seconds} 秒內完成",
    "{seconds} s left",
);

/// P4.
pub(super) const CONFIRM: [Word; 12] = [
    (
        "title",
        phrase(
            "在另一台设备上登录？",
            "在另一台裝置上登入？",
            "Log in on another device?",
        ),
    ),
    (
        "lead",
        phrase(
            "有人想以你的身份登录“{site}”。",
            "有人想以你的身分登入「{site}」。",
            "Somebody wants to log in to {site} as you.",
        ),
    ),
    ("site", phrase("网站", "網站", "Site")),
    ("device", phrase("设备", "裝置", "Device")),
    (
        "unknown",
        phrase("未知浏览器", "未知瀏覽器", "Unknown browser"),
    ),
    ("network", phrase("IP 地址", "IP 位址", "IP address")),
    (
        "choose",
        phrase(
            "那台设备的屏幕上显示哪个数字？",
            "那台裝置的螢幕上顯示哪個數字？",
            "Which number does its screen show?",
        ),
    ),
    (
        "choose_why",
        phrase(
            "选错会取消登录。如果没有看到数字，请不要选择。",
            "選錯會取消登入。如果沒有看到數字，請不要選擇。",
            "A wrong number cancels. Do not choose if you see no number there.",
        ),
    ),
    ("allow", phrase("确认登录", "確認登入", "Log in there")),
    ("deny", phrase("取消", "取消", "Cancel")),
    (
        "not_me",
        phrase("不是我在登录", "不是我在登入", "This was not me"),
    ),
    (
        "beware",
        phrase(
            "只确认你自己刚刚打开的页面。",
            "只確認你自己剛剛開啟的頁面。",
            "Only confirm a page that you opened yourself, just now.",
        ),
    ),
];

/// P5 and its siblings.
pub(super) fn ended(ending: ScanEnding) -> [Word; 3] {
    let (title, lead) = match ending {
        ScanEnding::Approved => (
            phrase("登录成功", "登入成功", "Done"),
            phrase(
                "请回到刚才的设备。你可以关闭这个页面。",
                "請回到剛才的裝置。你可以關閉這個頁面。",
                "Go back to the other device. You can close this page.",
            ),
        ),
        ScanEnding::Denied => (
            phrase("已取消", "已取消", "Cancelled"),
            phrase(
                "没有任何设备登录。你可以关闭这个页面。",
                "沒有任何裝置登入。你可以關閉這個頁面。",
                "No device was logged in. You can close this page.",
            ),
        ),
        ScanEnding::NotMe => (
            phrase("已阻止这次登录", "已阻止這次登入", "This login was stopped"),
            phrase(
                "没有任何设备登录。一小时内，那个网络无法再请你确认。请不要扫描别人发来的登录二维码。",
                "沒有任何裝置登入。一小時內，那個網路無法再請你確認。請不要掃描別人傳來的登入 QR 碼。",
                "No device was logged in, and nobody on that network can ask you again for an hour. Do not scan login codes that others send you.",
            ),
        ),
        ScanEnding::WrongNumber => (
            phrase("数字不一致", "數字不一致", "That is another number"),
            phrase(
                "为了安全，这次登录已取消。请在那台设备上刷新二维码，再扫一次。",
                "為了安全，這次登入已取消。請在那台裝置上重新整理 QR 碼，再掃一次。",
                "To be safe, this login was cancelled. Refresh the code on the other device and scan again.",
            ),
        ),
        ScanEnding::Expired => (
            phrase("二维码已失效", "QR 碼已失效", "This code has expired"),
            phrase(
                "它已过期或已被使用。请在那台设备上刷新二维码，再扫一次。",
                "它已過期或已被使用。請在那台裝置上重新整理 QR 碼，再掃一次。",
                "It is too old, or it was used. Refresh the code on the other device and scan again.",
            ),
        ),
        ScanEnding::Taken => (
            phrase(
                "二维码已被别人扫描",
                "QR 碼已被別人掃描",
                "Somebody else scanned this code",
            ),
            phrase(
                "一个二维码只能由一个人确认。请在那台设备上刷新二维码，再扫一次。",
                "一個 QR 碼只能由一個人確認。請在那台裝置上重新整理 QR 碼，再掃一次。",
                "One person can confirm a code. Refresh it on the other device and scan again.",
            ),
        ),
        ScanEnding::Limited => (
            phrase("选错次数太多", "選錯次數太多", "Too many wrong numbers"),
            phrase(
                "请十分钟后再试，并且只扫描你自己打开的页面。",
                "請十分鐘後再試，並且只掃描你自己開啟的頁面。",
                "Try again in ten minutes, and only scan a page that you opened yourself.",
            ),
        ),
        ScanEnding::Reported => (
            phrase(
                "你举报过这个网络",
                "你檢舉過這個網路",
                "You reported this network",
            ),
            phrase(
                "你在一小时内说过“不是我在登录”，所以那个网络上的设备暂时无法登录。",
                "你在一小時內說過「不是我在登入」，所以那個網路上的裝置暫時無法登入。",
                "Less than an hour ago you said that a login from there was not you. Devices on that network cannot log in as you for now.",
            ),
        ),
        ScanEnding::Forged => (
            phrase("无法确认", "無法確認", "This cannot be confirmed"),
            phrase(
                "这次确认不是从我们的页面发出的。请重新扫描二维码。",
                "這次確認不是從我們的頁面送出的。請重新掃描 QR 碼。",
                "The confirmation did not come from our page. Please scan the code again.",
            ),
        ),
    };
    [
        ("title", title),
        ("lead", lead),
        ("close", phrase("关闭页面", "關閉頁面", "Close this page")),
    ]
}
