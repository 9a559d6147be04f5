//! What an account writes to somebody who read its code. Plain text; WeChat makes links of the addresses in it.

use super::{Phrase, confirm, phrase};
use crate::pages::log_in::ScanEnding;

/// To somebody who is asked to confirm.
pub(in crate::pages) const ASK: Phrase = phrase(
    "有人想在 {device}（{network}）上以你的身份登录“{site}”。\n\n是你本人？请在 {seconds} 秒内打开链接确认：\n{link}\n\n不是你？请不要打开，忽略这条消息。",
    "有人想在 {device}（{network}）上以你的身分登入「{site}」。\n\n是你本人？請在 {seconds} 秒內開啟連結確認：\n{link}\n\n不是你？請不要開啟，忽略這則訊息。",
    "Somebody wants to log in to {site} as you, on {device} ({network}).\n\nIs it you? Open this link within {seconds} seconds to confirm:\n{link}\n\nNot you? Do not open it, ignore this message.",
);

/// To somebody whose reading of the code was enough.
pub(in crate::pages) const LOGGED_IN: Phrase = phrase(
    "你已在 {device}（{network}）上登录“{site}”。\n\n不是你？请打开链接，退出所有设备：\n{link}",
    "你已在 {device}（{network}）上登入「{site}」。\n\n不是你？請開啟連結，登出所有裝置：\n{link}",
    "You are logged in to {site} on {device} ({network}).\n\nNot you? Open this link and log out everywhere:\n{link}",
);

/// A browser that nobody knows.
pub(in crate::pages) const UNKNOWN_DEVICE: Phrase =
    phrase("另一台设备", "另一台裝置", "another device");

/// The title and the sentence of the page that says the same.
pub(in crate::pages) fn ended(ending: ScanEnding) -> [Phrase; 2] {
    let [(_, title), (_, lead), _] = confirm::ended(ending);
    [title, lead]
}
