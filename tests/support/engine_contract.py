"""What every engine does, whatever it is made of."""

from shared.engine.port import Engine, Work

NOBODY = "0" * 32 + ".1"


async def check_engine(engine: Engine, instance_id: str, work: Work) -> None:
    """An orchestration that would not end is started, found, terminated and purged; what is gone is no error."""
    assert not await engine.is_live(instance_id)
    assert await engine.purge(instance_id) is True
    await engine.terminate(instance_id)
    for _ in range(2):
        await engine.start(instance_id, work)
        assert await engine.is_live(instance_id)
    assert await engine.purge(instance_id) is False
    assert await engine.is_live(instance_id)
    for _ in range(2):
        await engine.terminate(instance_id)
        assert not await engine.is_live(instance_id)
    for _ in range(2):
        assert await engine.purge(instance_id) is True
        assert not await engine.is_live(instance_id)
