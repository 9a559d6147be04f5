//! The words for an operator whose gateway runs and has nothing to show yet.

use super::{Word, phrase};

/// P14.
pub(super) const FIRST_RUN: [Word; 8] = [
    (
        "title",
        phrase(
            "wxgate 已启动，但没有匹配的路由",
            "wxgate 已啟動，但沒有相符的路由",
            "wxgate is running, but no route serves this",
        ),
    ),
    (
        "lead",
        phrase(
            "配置文件里没有任何 [[routes]] 匹配这个地址。",
            "設定檔裡沒有任何 [[routes]] 符合這個位址。",
            "No [[routes]] of the configuration file matches this address.",
        ),
    ),
    (
        "add",
        phrase(
            "在配置文件里加一条路由，指向你的应用：",
            "在設定檔裡加一條路由，指向你的應用程式：",
            "Add a route to the configuration file that leads to your application:",
        ),
    ),
    (
        "take",
        phrase(
            "检查配置，然后让正在运行的 wxgate 采用它：",
            "檢查設定，然後讓執行中的 wxgate 採用它：",
            "Check the file, and have the running wxgate take it:",
        ),
    ),
    (
        "explain",
        phrase(
            "查看哪条路由会匹配，以及其他路由为什么不匹配：",
            "查看哪條路由會符合，以及其他路由為什麼不符合：",
            "See which route would match, and why the others do not:",
        ),
    ),
    (
        "who",
        phrase(
            "只有 pages.show_details = true 时才显示此页；否则访客只会看到“页面不存在”。",
            "只有 pages.show_details = true 時才顯示此頁；否則訪客只會看到「頁面不存在」。",
            "Shown only with pages.show_details = true; otherwise visitors read that there is no such page.",
        ),
    ),
    ("asked", phrase("请求的地址", "請求的位址", "Asked for")),
    ("again", phrase("再试一次", "再試一次", "Try again")),
];
