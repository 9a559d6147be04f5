//! The words of the pages about who is logged in.

use super::{Phrase, Word, phrase};

pub(super) const ACCOUNT: [Word; 12] = [
    ("title", phrase("你已登录", "你已登入", "You are logged in")),
    (
        "lead",
        phrase(
            "在“{site}”的登录信息",
            "在「{site}」的登入資訊",
            "Your login at {site}",
        ),
    ),
    ("nickname", phrase("昵称", "暱稱", "Name")),
    ("account", phrase("账号", "帳號", "Account")),
    ("app", phrase("登录方式", "登入方式", "Logged in by")),
    ("since", phrase("登录时间", "登入時間", "Since")),
    ("until", phrase("有效期至", "有效期至", "Valid until")),
    ("log_out", phrase("退出登录", "登出", "Log out")),
    (
        "log_out_everywhere",
        phrase(
            "在所有设备上退出",
            "在所有裝置上登出",
            "Log out on all devices",
        ),
    ),
    (
        "others",
        phrase("其他登录", "其他登入", "Your other sessions"),
    ),
    ("used", phrase("最近使用", "最近使用", "Last used")),
    ("end", phrase("下线", "結束", "End")),
];

pub(super) const NOBODY: [Word; 3] = [
    (
        "title",
        phrase("你还没有登录", "你尚未登入", "You are not logged in"),
    ),
    (
        "lead",
        phrase(
            "登录后即可使用“{site}”。",
            "登入後即可使用「{site}」。",
            "Log in to use {site}.",
        ),
    ),
    (
        "log_in",
        phrase("微信登录", "微信登入", "Log in with WeChat"),
    ),
];

pub(super) const CONFIRM_LOGOUT: [Word; 5] = [
    ("title", phrase("要退出登录吗？", "要登出嗎？", "Log out?")),
    (
        "lead",
        phrase(
            "退出后，再次使用“{site}”需要重新登录。",
            "登出後，再次使用「{site}」需要重新登入。",
            "You will have to log in again to use {site}.",
        ),
    ),
    ("log_out", phrase("退出登录", "登出", "Log out")),
    (
        "log_out_everywhere",
        phrase(
            "在所有设备上退出",
            "在所有裝置上登出",
            "Log out on all devices",
        ),
    ),
    ("stay", phrase("暂不退出", "先不登出", "Stay logged in")),
];

pub(super) const LOGGED_OUT: [Word; 2] = [
    (
        "title",
        phrase("你已退出登录", "你已登出", "You are logged out"),
    ),
    ("log_in", phrase("重新登录", "重新登入", "Log in again")),
];

/// What happens at the next visit.
pub(super) fn logged_out(inside_wechat: bool) -> Phrase {
    if inside_wechat {
        phrase(
            "在微信中再次打开“{site}”时，会自动为你登录。",
            "在微信中再次開啟「{site}」時，會自動為你登入。",
            "When you open {site} in WeChat again, you will be logged in without being asked.",
        )
    } else {
        phrase(
            "现在可以放心关闭这个页面。",
            "現在可以放心關閉這個頁面。",
            "You can safely close this page now.",
        )
    }
}
