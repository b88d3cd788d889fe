WITH dem AS (
    SELECT
        nam,
        ma_xa,
        count(*) FILTER (phan_loai = 'Hộ nghèo') AS ho_ngheo,
        count(*) FILTER (phan_loai = 'Hộ cận nghèo') AS ho_can_ngheo,
        coalesce(sum(so_nhan_khau) FILTER (phan_loai = 'Hộ nghèo'), 0) AS nhan_khau_ngheo,
        coalesce(sum(so_nhan_khau) FILTER (phan_loai = 'Hộ cận nghèo'), 0) AS nhan_khau_can_ngheo,
        count(*) FILTER (phan_loai = 'Hộ nghèo' AND khong_kha_nang_lao_dong) AS ho_ngheo_khong_lao_dong
    FROM giam_ngheo.ho_ngheo_can_ngheo
    GROUP BY ALL
)

SELECT
    dem.nam,
    dem.ma_xa,
    xa.so_ho AS tong_ho,
    dem.ho_ngheo,
    dem.ho_can_ngheo,
    dem.nhan_khau_ngheo,
    dem.nhan_khau_can_ngheo,
    dem.ho_ngheo_khong_lao_dong,
    round(100.0 * dem.ho_ngheo / xa.so_ho, 2) AS ty_le_ngheo_pct,
    round(100.0 * dem.ho_can_ngheo / xa.so_ho, 2) AS ty_le_can_ngheo_pct,
    round(100.0 * (dem.ho_ngheo + dem.ho_can_ngheo) / xa.so_ho, 2) AS ty_le_ngheo_da_chieu_pct
FROM dem
LEFT JOIN nong_thon_moi.nuoc_sach_nong_thon AS xa USING (nam, ma_xa)
