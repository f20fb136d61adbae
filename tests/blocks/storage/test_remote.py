"""What only a remote store has: lost connections, copies on this machine, no access, no server."""

import time
from pathlib import Path

import pytest

from blocks import store
from blocks.records import Artifact
from blocks.storage import objects, remote
from configs.errors import BadInput, Transient
from tests import s3
from tests.blocks.things import change, forget, leftovers, make


@pytest.fixture
def bucket(moto: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> str:
    place = s3.bucket(*moto)
    s3.use(monkeypatch, *moto, place)
    return place


def large(number: int) -> Artifact:
    with store.create("large", settings={"number": number}) as folder:
        for name in range(3):
            (folder.path / f"{name}.bin").write_bytes(bytes([number, name]) * 150_000)
    return folder.artifact


def test_connections_cut_at_random_never_leave_half_an_artifact(
    moto: tuple[str, int], bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Uploads and downloads either succeed, by trying again, or say that they did not."""
    monkeypatch.setattr(objects, "PATIENCE", 1.0)
    proxy = s3.Cuts(*moto, probability=0.5, most=600_000, seed=5)
    made: list[Artifact] = []
    given_up = 0
    try:
        s3.use(monkeypatch, "127.0.0.1", proxy.port, bucket)
        for number in range(12):
            try:
                made.append(large(number))
            except Transient:
                given_up += 1
        for one in made:
            forget(one)
            try:
                assert (store.open(one) / "1.bin").read_bytes() == bytes(
                    [(store.open(one) / "0.bin").read_bytes()[0], 1]
                ) * 150_000
            except Transient:
                given_up += 1
    finally:
        proxy.close()
    assert proxy.cut > 10, "the proxy did cut"
    assert len(made) > given_up, "most of them succeed"
    s3.use(monkeypatch, *moto, bucket)
    there = store.everything()
    assert {one.digest for one in there} >= {one.digest for one in made}
    for one in there:
        forget(one)
        store.verify(one)
    assert leftovers() == []


def test_a_store_that_is_gone_is_one_clear_line_and_loses_nothing(
    moto: tuple[str, int], bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "PATIENCE", 0.5)
    proxy = s3.Cuts(*moto, probability=0, most=2, seed=0)
    s3.use(monkeypatch, "127.0.0.1", proxy.port, bucket)
    token = remote.may_wait.set(True)
    try:
        before = make("before")
        proxy.refuse = True
        started = time.monotonic()
        made = make("made while the store was away")
        assert time.monotonic() - started < 30
        assert (store.open(made) / "sub" / "a.txt").read_text() == "made while the store was away"
        with pytest.raises(Transient, match=r"cannot reach s3://\S+ .*AWS_ENDPOINT_URL") as error:
            remote.send()
        assert "\n" not in str(error.value)
        assert (store.open(before) / "sub" / "a.txt").read_text() == "before", "what is here needs no connection"
        forget(before)
        with pytest.raises(Transient, match="cannot reach"):
            store.open(before)
        proxy.refuse = False
        remote.send()
    finally:
        remote.may_wait.reset(token)
        proxy.close()
    s3.use(monkeypatch, *moto, bucket)
    forget(made)
    store.verify(made)


def test_outside_a_step_an_artifact_that_cannot_be_sent_is_an_error(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "PATIENCE", 0.2)
    s3.use(monkeypatch, "127.0.0.1", 9, bucket)
    with pytest.raises(Transient, match="cannot reach"):
        make()


def test_a_damaged_copy_on_this_machine_is_fetched_again(bucket: str, state: Path) -> None:
    made = make()
    copy = store.open(made) / "sub" / "a.txt"
    assert copy.is_relative_to(state)
    copy.write_text("lies")
    assert (store.open(made) / "sub" / "a.txt").read_text() == "hello"


def test_what_is_damaged_in_the_store_is_withdrawn_and_made_again(bucket: str) -> None:
    made = make()
    change(made, "sub/a.txt", b"hellO")  # as long as before: only reading it shows
    store.is_there(made)
    with pytest.raises(BadInput, match="withdrawn"):
        store.open(made)
    with pytest.raises(BadInput, match="gone"):
        store.is_there(made)
    assert make() == made
    forget(made)
    store.verify(made)


def test_no_bucket_and_no_credentials_are_told(
    moto: tuple[str, int], bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.use(monkeypatch, *moto, "s3://there-is-none/store")
    with pytest.raises(BadInput, match="make the bucket, or correct COGUMI_STORE"):
        make()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(BadInput, match="AWS_ACCESS_KEY_ID"):
        make()


def test_an_unknown_kind_of_store_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COGUMI_STORE", "cloud://somewhere/store")
    with pytest.raises(BadInput, match="COGUMI_STORE"):
        make()


def test_an_unreachable_store_is_told_before_any_work_begins(tmp_path: Path) -> None:
    from tests.deployments.test_start import cogumi

    done = cogumi("run", home=tmp_path, COGUMI_STORE="s3://bucket/store", **s3.environment("127.0.0.1", 9))
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "cannot reach s3://bucket/store" in done.stderr
    assert "AWS_ENDPOINT_URL" in done.stderr
    assert not (tmp_path / "logs").exists(), "no server was started"
