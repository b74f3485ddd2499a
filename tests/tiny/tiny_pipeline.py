"""A pipeline of diffusers with random weights, a thousandth of a real one's size: it needs no download."""

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from tiny_clip import SMALL, tokenizer
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPTextConfig, CLIPTextModel


def text_encoder(words):
    special = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    return CLIPTextModel(CLIPTextConfig(vocab_size=words, max_position_embeddings=32, **special, **SMALL))


def unet():
    return UNet2DConditionModel(
        sample_size=8,
        layers_per_block=1,
        block_out_channels=(8, 8, 16),
        down_block_types=("DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        cross_attention_dim=16,
        attention_head_dim=2,
        norm_num_groups=4,
    )


def autoencoder():
    """Four steps of resolution, as real ones have: eight pixels to a latent."""
    return AutoencoderKL(
        block_out_channels=(4, 4, 4, 4),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        norm_num_groups=4,
        mid_block_add_attention=False,
        sample_size=64,
    )


def safety_checker():
    """The real one, made small; with these thresholds it blocks nothing."""
    vision = SMALL | {"image_size": 16, "patch_size": 8}
    checker = StableDiffusionSafetyChecker(CLIPConfig(vision_config=vision, projection_dim=16))
    checker.concept_embeds_weights.data.fill_(2)
    checker.special_care_embeds_weights.data.fill_(2)
    return checker


class TinyPipeline(StableDiffusionPipeline):
    """Two steps unless it is told otherwise, not fifty."""

    def __call__(self, *words, num_inference_steps=2, **more):
        return super().__call__(*words, num_inference_steps=num_inference_steps, **more)


def tiny_pipeline():
    torch.manual_seed(0)
    torch.set_num_threads(1)  # more would wait for one another longer than they compute
    words = tokenizer()
    pipeline = TinyPipeline(
        tokenizer=words,
        text_encoder=text_encoder(len(words)),
        unet=unet(),
        vae=autoencoder(),
        scheduler=DDIMScheduler(steps_offset=1, clip_sample=False),
        safety_checker=safety_checker(),
        feature_extractor=CLIPImageProcessorPil(
            size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}
        ),
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
