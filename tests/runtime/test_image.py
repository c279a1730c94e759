"""An image of one registry in another one: the same by its digest, or not at all."""

import pytest

from cdk_ml_release.runtime import image
from cdk_ml_release.runtime.contract import StageFailed

from .fakes import Refused, played_by
from .registries import OCI_INDEX, FakeRegistry, digest_of, downloads_of

HOME = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/abalone"
THERE = "111122223333.dkr.ecr.us-east-1.amazonaws.com/abalone-america"
LAYERS = (b"the system, of many bytes" * 3, b"the model's code", b"")


class TwoRegistries:
    """The registries of two regions, one of which has the image."""

    def __init__(self, **options):
        self.home, self.there = FakeRegistry(), FakeRegistry()
        self.digest = self.home.push("abalone", *LAYERS[:2], **options)

    def copy(self):
        clients = (played_by("ecr", each) for each in (self.home, self.there))
        return image.copy(*clients, f"{HOME}@{self.digest}", THERE, "the-execution")


@pytest.fixture
def two():
    made = TwoRegistries()
    with downloads_of(made.home) as downloads:
        made.downloads = downloads
        yield made


def test_the_copy_has_the_same_digest_and_the_tag_of_its_execution(two):
    assert two.copy() == f"{THERE}@{two.digest}"

    assert two.there.images["abalone-america"] == {two.digest: two.home.images["abalone"][two.digest]}
    assert two.there.layers["abalone-america"] == two.home.layers["abalone"]
    assert two.there.tags["abalone-america"] == {"the-execution": two.digest}


def test_an_image_that_is_there_is_not_copied_again(two):
    two.copy()
    before = list(two.there.calls)

    assert two.copy() == f"{THERE}@{two.digest}"
    assert two.there.calls == before


def test_layers_that_are_there_are_not_downloaded_again(two):
    two.there.layers["abalone-america"] = {digest_of(LAYERS[0]): LAYERS[0]}
    two.downloads.broken[digest_of(LAYERS[0])] = "refused"

    two.copy()

    assert f"layer {digest_of(LAYERS[0])}" not in two.there.calls
    assert two.digest in two.there.images["abalone-america"]


def test_more_layers_than_ecr_is_asked_for_at_once_arrive(two):
    two.digest = two.home.push("abalone", *(f"layer {number}".encode() for number in range(120)))

    two.copy()

    assert len(two.there.layers["abalone-america"]) == 121


def test_a_layer_that_somebody_else_brings_meanwhile_is_taken_as_it_is(two):
    class Overtaken(FakeRegistry):
        def batch_check_layer_availability(self, **_):
            return {"layers": [], "failures": []}

    two.there = Overtaken(layers={"abalone-america": {digest_of(LAYERS[0]): LAYERS[0]}})

    two.copy()

    assert two.digest in two.there.images["abalone-america"]


def test_an_image_that_somebody_else_brings_meanwhile_is_taken_as_it_is(two):
    class Overtaken(FakeRegistry):
        def describe_images(self, **_):
            raise Refused("ImageNotFoundException", "not yet")

    two.there = Overtaken()
    two.copy()

    assert two.copy() == f"{THERE}@{two.digest}"


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("refused", "could not be downloaded, HTTP Error 403: Request has expired: retry the stage"),
        ("cut off", "arrived broken, 74 bytes of another digest: retry the stage"),
        ("altered", "arrived broken, 75 bytes of another digest: retry the stage"),
    ],
)
def test_refuses_a_layer_that_does_not_arrive_whole(two, how, message):
    two.downloads.broken[digest_of(LAYERS[0])] = how

    with pytest.raises(StageFailed, match=f"the layer {digest_of(LAYERS[0])} of 'abalone' {message}"):
        two.copy()

    assert two.there.images == {}


def test_a_retry_takes_up_where_the_download_broke(two):
    two.downloads.broken[digest_of(LAYERS[1])] = "cut off"
    with pytest.raises(StageFailed):
        two.copy()
    two.downloads.broken.clear()

    two.copy()

    assert sorted(two.there.calls) == sorted({*two.there.calls}), "no layer came twice"
    assert two.digest in two.there.images["abalone-america"]


def test_refuses_when_nobody_answers_for_the_layers(two):
    two.home.get_download_url_for_layer = lambda **_: {"downloadUrl": "http://127.0.0.1:1/layer"}

    with pytest.raises(StageFailed, match=r"could not be downloaded, .*Connection refused.*: retry the stage"):
        two.copy()


def test_an_image_tells_its_kind_itself_where_the_registry_does_not(two):
    known = two.home.batch_get_image

    def batch_get_image(**request):
        answer = known(**request)
        del answer["images"][0]["imageManifestMediaType"]
        return answer

    two.home.batch_get_image = batch_get_image

    two.copy()

    assert two.there.images["abalone-america"] == two.home.images["abalone"]


def test_refuses_a_list_of_images_for_several_platforms():
    two = TwoRegistries(kind=OCI_INDEX)

    with pytest.raises(
        StageFailed, match=r"is of the kind '.*index.v1.json', not one image for one platform: build the model"
    ):
        two.copy()

    assert two.there.calls == []


def test_refuses_to_copy_to_where_no_repository_is(two):
    class Empty(FakeRegistry):
        def describe_images(self, repositoryName, **_):  # noqa: N803
            raise Refused("RepositoryNotFoundException", repositoryName)

    two.there = Empty()

    with pytest.raises(
        StageFailed, match=r"no image repository 'abalone-america' in the .*: deploy the stack 'abalone-am"
    ):
        two.copy()


def test_refuses_an_image_that_is_gone(two):
    two.home.images.clear()

    with pytest.raises(
        StageFailed, match=r"is not in the repository 'abalone' any more, Requested image not found: rel"
    ):
        two.copy()
