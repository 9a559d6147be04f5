//! The words on the phone whose visitor read a code.

use super::{Phrase, Word, phrase};
use crate::pages::log_in::ScanEnding;

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
                "沒有任何裝置登入。一小時內，那個網路無法再請你確認。請不要掃描別人傳來的登入 QR\u{a0}碼。",
                "No device was logged in, and nobody on that network can ask you again for an hour. Do not scan login codes that others send you.",
            ),
        ),
        ScanEnding::WrongNumber => (
            phrase("数字不一致", "數字不一致", "That is another number"),
            phrase(
                "为了安全，这次登录已取消。请在那台设备上刷新二维码，再扫一次。",
                "為了安全，這次登入已取消。請在那台裝置上重新整理 QR\u{a0}碼，再掃一次。",
                "To be safe, this login was cancelled. Refresh the code on the other device and scan again.",
            ),
        ),
        ScanEnding::Expired => (
            phrase("二维码已失效", "QR\u{a0}碼已失效", "This code has expired"),
            phrase(
                "它已过期或已被使用。请在那台设备上刷新二维码，再扫一次。",
                "它已過期或已被使用。請在那台裝置上重新整理 QR\u{a0}碼，再掃一次。",
                "It is too old, or it was used. Refresh the code on the other device and scan again.",
            ),
        ),
        ScanEnding::Taken => (
            phrase(
                "二维码已被别人扫描",
                "QR\u{a0}碼已被別人掃描",
                "Somebody else scanned this code",
            ),
            phrase(
                "一个二维码只能由一个人确认。请在那台设备上刷新二维码，再扫一次。",
                "一個 QR\u{a0}碼只能由一個人確認。請在那台裝置上重新整理 QR\u{a0}碼，再掃一次。",
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
                "這次確認不是從我們的頁面送出的。請重新掃描 QR\u{a0}碼。",
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
