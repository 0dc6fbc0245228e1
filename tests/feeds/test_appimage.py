"""AppImages: which control file is shown, and when there is none yet."""

from __future__ import annotations

from tests.feeds.values import answer, build, file
from updater.catalog.platforms import Target
from updater.feeds.appimage import FEED, MAX_ZSYNC_BYTES, AppImageZsync, judge, read_recipe, read_word
from updater.offers.feed_choice import FeedStatus

LINUX = AppImageZsync(Target("linux", "amd64"))


def test_the_control_file_of_what_is_shown() -> None:
    zsync = file("My App.AppImage.zsync", size_bytes=333)
    builds = [
        build("1.2.0", "linux/amd64", file("My App.AppImage")),
        build("1.1.0", "linux/amd64", file("My App.AppImage"), zsync),
        build("1.0.0", "linux/amd64", file("My App.AppImage"), zsync),
    ]
    for current in (None, "1.1.0", "1.0.0"):
        rendered = answer(LINUX, builds, current)
        assert rendered is not None
        assert (rendered.status, rendered.media_type) == (200, "application/x-zsync")
        recipe = read_recipe(rendered.body)
        assert (recipe.digest, recipe.size_bytes) == (zsync.digest, 333)
        assert recipe.file_name == "My App.AppImage"
        assert recipe.url == "https://u.example/1.1.0/linux/amd64/My%20App.AppImage"
    assert answer(LINUX, builds[:1]) is None


def test_what_is_said_of_builds() -> None:
    image, zsync = file("a.AppImage"), file("A.appimage.zsync")
    assert judge(build("1.0.0", "linux/amd64", image, zsync)) == (FeedStatus.LISTED, (image, zsync))
    assert judge(build("1.0.0", "linux/amd64", image)) == (FeedStatus.MAKING_ZSYNC, ())
    assert judge(build("1.0.0", "linux/amd64", image, file("b.AppImage.zsync"))) == (FeedStatus.MAKING_ZSYNC, ())
    assert judge(build("1.0.0", "linux/amd64", file("a.deb"), zsync)) is None
    assert judge(build("1.0.0", "windows/amd64", image, zsync)) is None
    damaged = file("a.AppImage", quarantined=True)
    assert judge(build("1.0.0", "linux/amd64", damaged, zsync)) == (FeedStatus.DAMAGED, ())
    largest = file("a.AppImage.zsync", size_bytes=MAX_ZSYNC_BYTES)
    assert judge(build("1.0.0", "linux/amd64", image, largest)) == (FeedStatus.LISTED, (image, largest))
    huge = file("a.AppImage.zsync", size_bytes=MAX_ZSYNC_BYTES + 1)
    assert judge(build("1.0.0", "linux/amd64", image, huge)) == (FeedStatus.MAKING_ZSYNC, ())


def test_words() -> None:
    for word, architecture in (("x86_64", "amd64"), ("aarch64", "arm64"), ("i686", "386"), ("armhf", "arm")):
        target = Target("linux", architecture)
        assert read_word(word) == AppImageZsync(target)
        assert FEED.url(target) == f"appimage/{word}.zsync"
    assert read_word("amd64") is read_word("") is read_word("x86_64.zsync") is None
    assert FEED.url(Target("windows", "amd64")) is None
    assert FEED.url(Target("linux", "riscv64")) is None
