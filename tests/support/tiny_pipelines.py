"""Pipelines of diffusers with tiny random weights, made in place; the tokenizers know letters and a few words."""

from functools import cache

import torch

SIZE = 8  # of the latents


def seed(number=0):
    torch.manual_seed(number)


@cache
def alphabet():
    """A vocabulary of CLIP's kind: "!" is 0, letters with and without the word's end, two merges, start and end."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["!", *letters, "!</w>", *(f"{letter}</w>" for letter in letters), "ca", "cat</w>"]
    words += ["<|startoftext|>", "<|endoftext|>"]
    return {word: number for number, word in enumerate(words)}, [("c", "a"), ("ca", "t</w>")]


def clip_tokenizer(length=16, pad="<|endoftext|>"):
    from transformers import CLIPTokenizer

    vocab, merges = alphabet()
    return CLIPTokenizer(vocab=dict(vocab), merges=list(merges), model_max_length=length, pad_token=pad)


def t5_tokenizer():
    from transformers import T5TokenizerFast

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    pieces += [(letter, -3.0) for letter in "abcdefghijklmnopqrstuvwxyz"] + [("▁cat", -1.0)]
    return T5TokenizerFast(vocab=pieces, extra_ids=0, model_max_length=512)


def clip(width=32, projection=None, length=16):
    """A CLIP text encoder; with a projection where it has this many numbers."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    vocab, _ = alphabet()
    config = CLIPTextConfig(
        vocab_size=len(vocab), hidden_size=width, intermediate_size=2 * width, num_hidden_layers=3,
        num_attention_heads=2, max_position_embeddings=length, projection_dim=projection or width,
        bos_token_id=len(vocab) - 2, eos_token_id=len(vocab) - 1, pad_token_id=len(vocab) - 1,
    )  # fmt: skip
    return (CLIPTextModelWithProjection if projection else CLIPTextModel)(config).eval()


def t5(width=32):
    from transformers import T5Config, T5EncoderModel

    config = T5Config(
        vocab_size=31, d_model=width, d_kv=8, d_ff=37, num_layers=2, num_heads=2, is_encoder_decoder=False
    )
    return T5EncoderModel(config).eval()


def autoencoder(channels=4, **settings):
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(8, 16), norm_num_groups=4, latent_channels=channels,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2, **settings,
    ).eval()  # fmt: skip


def tiny_autoencoder():
    from diffusers import AutoencoderTiny

    return AutoencoderTiny(
        encoder_block_out_channels=(8, 8), decoder_block_out_channels=(8, 8), num_encoder_blocks=(1, 1),
        num_decoder_blocks=(1, 1),
    ).eval()  # fmt: skip


def unet(**settings):
    """A UNet2DModel of pictures (3, 8, 8)."""
    from diffusers import UNet2DModel

    usual = {
        "sample_size": SIZE, "block_out_channels": (32, 64), "norm_num_groups": 8, "layers_per_block": 1,
        "down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
    }  # fmt: skip
    return UNet2DModel(**(usual | settings)).eval()


def text_unet(width=32, **settings):
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=SIZE, block_out_channels=(32, 64), norm_num_groups=8, layers_per_block=1, cross_attention_dim=width,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), attention_head_dim=8,
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), **settings,
    ).eval()  # fmt: skip


def stable_diffusion(scheduler, vae=None, pad="<|endoftext|>", **settings):
    from diffusers import StableDiffusionPipeline

    seed()
    return StableDiffusionPipeline(
        unet=text_unet(**settings), vae=vae or autoencoder(), text_encoder=clip(), tokenizer=clip_tokenizer(pad=pad),
        scheduler=scheduler, safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


def stable_diffusion_xl(scheduler, **settings):
    from diffusers import StableDiffusionXLPipeline

    seed()
    return StableDiffusionXLPipeline(
        unet=text_unet(
            64, addition_embed_type="text_time", addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + 24,
        ),
        vae=autoencoder(scaling_factor=0.13025), text_encoder=clip(), text_encoder_2=clip(projection=24),
        tokenizer=clip_tokenizer(), tokenizer_2=clip_tokenizer(pad="!"), scheduler=scheduler, **settings,
    )  # fmt: skip


def dit(scheduler, learned=True):
    from diffusers import DiTPipeline, DiTTransformer2DModel

    seed()
    transformer = DiTTransformer2DModel(
        sample_size=SIZE, num_layers=2, patch_size=2, attention_head_dim=8, num_attention_heads=2, in_channels=4,
        out_channels=8 if learned else 4, attention_bias=True, activation_fn="gelu-approximate",
        num_embeds_ada_norm=1000, norm_type="ada_norm_zero", norm_elementwise_affine=False,
    )  # fmt: skip
    return DiTPipeline(transformer=transformer.eval(), vae=autoencoder(), scheduler=scheduler)


def stable_diffusion_3(scheduler, with_t5=True):
    from diffusers import SD3Transformer2DModel, StableDiffusion3Pipeline

    seed()
    transformer = SD3Transformer2DModel(
        sample_size=SIZE, patch_size=1, in_channels=4, num_layers=2, attention_head_dim=8, num_attention_heads=4,
        caption_projection_dim=32, joint_attention_dim=32, pooled_projection_dim=40, out_channels=4,
    )  # fmt: skip
    return StableDiffusion3Pipeline(
        transformer=transformer.eval(), vae=autoencoder(scaling_factor=1.5305, shift_factor=0.0609),
        text_encoder=clip(16, projection=16), text_encoder_2=clip(16, projection=24),
        text_encoder_3=t5() if with_t5 else None, tokenizer=clip_tokenizer(), tokenizer_2=clip_tokenizer(pad="!"),
        tokenizer_3=t5_tokenizer() if with_t5 else None, scheduler=scheduler,
    )  # fmt: skip


def flux(scheduler, guidance_embeds=True):
    from diffusers import FluxPipeline, FluxTransformer2DModel

    seed()
    transformer = FluxTransformer2DModel(
        patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=32, pooled_projection_dim=32, axes_dims_rope=(4, 4, 8), guidance_embeds=guidance_embeds,
    )  # fmt: skip
    return FluxPipeline(
        transformer=transformer.eval(), vae=autoencoder(scaling_factor=0.3611, shift_factor=0.1159),
        text_encoder=clip(), text_encoder_2=t5(), tokenizer=clip_tokenizer(), tokenizer_2=t5_tokenizer(),
        scheduler=scheduler,
    )  # fmt: skip


def latent_consistency(scheduler):
    from diffusers import LatentConsistencyModelPipeline

    seed()
    return LatentConsistencyModelPipeline(
        unet=text_unet(time_cond_proj_dim=32), vae=autoencoder(), text_encoder=clip(), tokenizer=clip_tokenizer(),
        scheduler=scheduler, safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


def inpainting(scheduler):
    from diffusers import StableDiffusionInpaintPipeline

    return StableDiffusionInpaintPipeline(**_list_parts(scheduler, in_channels=9), requires_safety_checker=False)


def editing(scheduler):
    from diffusers import StableDiffusionInstructPix2PixPipeline

    return StableDiffusionInstructPix2PixPipeline(
        **_list_parts(scheduler, in_channels=8, out_channels=4), requires_safety_checker=False
    )


def by_depth(scheduler):
    from diffusers import StableDiffusionDepth2ImgPipeline
    from transformers import DPTConfig, DPTForDepthEstimation, DPTImageProcessor

    parts = _list_parts(scheduler, in_channels=5, out_channels=4)
    del parts["safety_checker"]
    config = DPTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=32, patch_size=16,
        backbone_out_indices=[0, 0, 0, 0], neck_hidden_sizes=[8, 8, 8, 8], fusion_hidden_size=8, is_hybrid=False,
    )  # fmt: skip
    parts |= {"depth_estimator": DPTForDepthEstimation(config).eval(), "feature_extractor": DPTImageProcessor()}
    return StableDiffusionDepth2ImgPipeline(**parts)


def enlarging(scheduler, low_scheduler):
    from diffusers import StableDiffusionUpscalePipeline

    parts = _list_parts(scheduler, in_channels=7, out_channels=4, num_class_embeds=100)
    return StableDiffusionUpscalePipeline(
        **parts, low_res_scheduler=low_scheduler, watermarker=None, max_noise_level=50
    )


def refiner(scheduler):
    """Stable Diffusion XL's second network: one text encoder, and a score in the place of the size aimed at."""
    from diffusers import StableDiffusionXLImg2ImgPipeline

    seed()
    return StableDiffusionXLImg2ImgPipeline(
        unet=text_unet(
            32, addition_embed_type="text_time", addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=5 * 8 + 32,
        ),
        vae=autoencoder(scaling_factor=0.13025), text_encoder=None, text_encoder_2=clip(projection=32),
        tokenizer=None, tokenizer_2=clip_tokenizer(pad="!"), scheduler=scheduler, requires_aesthetics_score=True,
        force_zeros_for_empty_prompt=False,
    )  # fmt: skip


def _list_parts(scheduler, **settings):
    seed()
    return {
        "unet": text_unet(**settings), "vae": autoencoder(), "text_encoder": clip(), "tokenizer": clip_tokenizer(),
        "scheduler": scheduler, "safety_checker": None, "feature_extractor": None,
    }  # fmt: skip
